# SPDX-License-Identifier: Apache-2.0
"""Keys on the command line: make one, sign, verify, and what is refused."""

from __future__ import annotations

import pytest
from in_process import answers, invoke


def run(*arguments, **env):
    return invoke(*arguments, env=env)


@pytest.fixture
def key(tmp_path):
    assert run("key", "generate", tmp_path / "k.key").exit_code == 0
    return tmp_path / "k.key", tmp_path / "k.pub"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("weights")
    (folder / "b").write_text("more")
    return folder


def test_a_folder_and_a_file(key, model):
    for path in (model / "a", model):
        assert run("sign", path, "--key", key[0]).exit_code == 0

        done = run("verify", path, "--key", key[1], "--format", "json")
        (said,) = answers(done.stdout)
        assert (done.exit_code, said["verdict"], said["time"]) == (0, "accepted", None), said
    (model / "a").write_text("other")
    assert run("verify", model / "a", "--key", key[1]).exit_code == 1


def test_what_is_left_out_is_said(key, model):
    options = ("--ignore-path", model / "b", "--hash-type", "blake3", "--shard-size", "3")
    assert run("sign", model, "--key", key[0], *options).exit_code == 0
    (model / "b").write_text("changed")
    done = run("verify", model, "--key", key[1])
    assert done.exit_code == 0
    assert "'b' was left out" in done.output


def test_an_encrypted_key(model, tmp_path):
    path = tmp_path / "secret.key"
    assert run("key", "generate", path, "--password-env", "PW", PW="x").exit_code == 0
    sign = ("sign", model, "--key", path)
    assert run(*sign).exit_code == 2
    assert run(*sign, "--password-env", "PW", PW="wrong").exit_code == 2
    assert run(*sign, "--password-env", "PW", PW="x").exit_code == 0


def test_digests_are_signed_without_the_model(key, model, tmp_path):
    known, bundle = tmp_path / "known.json", tmp_path / "model.sig"
    known.write_text(run("digest", model, "--format", "json").output)
    sign = ("sign", "elsewhere", "--key", key[0], "--manifest", known)
    assert run(*sign).exit_code == 2
    assert run(*sign, "--bundle", bundle).exit_code == 0
    assert run("verify", model, "--key", key[1], "--bundle", bundle).exit_code == 0
    known.write_text(known.read_text().replace("sha256:", "sha256:0"))
    assert run(*sign, "--bundle", bundle, "--overwrite").exit_code == 1
