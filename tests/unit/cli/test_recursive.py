# SPDX-License-Identifier: Apache-2.0
"""`verify --recursive`: every model of a tree has a verdict, and a count ends the answer."""

from __future__ import annotations

import json
import os

import pytest
from as_user import public_folder, run_as_user
from in_process import invoke


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "release.key"
    assert invoke("key", "generate", path).exit_code == 0
    return path


@pytest.fixture
def models(tmp_path, key):
    """Return a tree with two signed folders and a signed file."""
    folder = tmp_path / "models"
    for name in ("a/w", "org/b/w", "one.bin"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    done = invoke("sign", folder / "a", folder / "org" / "b", folder / "one.bin", "--key", key)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def verify(key):
    return lambda *arguments: invoke(
        "verify", *arguments, "--key", key.with_suffix(".pub"), "--recursive"
    )


def verdicts(done, root):
    found = json.loads(done.stdout)["verdicts"]
    return {os.path.relpath(one["model"], root): one["code"] for one in found}


def test_all_that_are_signed_are_accepted(models, verify):
    done = verify(models)
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        f"OK {models / name}" for name in ("a", "one.bin", "org/b")
    ]
    assert done.stderr.splitlines()[-1] == "3 models: 3 accepted"


def test_altered_and_unsigned_ones_are_counted(models, verify):
    (models / "a" / "w").write_text("altered")
    (models / "org" / "c").mkdir()
    (models / "org" / "c" / "w").write_text("nobody signed it")
    done = verify(models)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1] == "4 models: 2 accepted, 1 refused, 1 unsigned"
    done = verify(models, "--format", "json")
    assert verdicts(done, models) == {
        "a": "digest-mismatch", "one.bin": "accepted", "org/b": "accepted", "org/c": "unsigned",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a/model.sig", "one.bin.sigstore.json"])
def test_a_signature_that_was_taken_away_is_not_passed_over(models, verify, name):
    (models / name).unlink()
    assert "1 unsigned" in verify(models).stderr
    assert verify(models).exit_code == 1


def test_a_signed_folder_is_one_model(models, verify):
    done = verify(models / "a")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "1 model: 1 accepted")
    done = verify(models / "one.bin", models, models / "a")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "3 models: 3 accepted")


def test_where_nothing_is_signed_it_says_so(tmp_path, verify):
    (tmp_path / "w").write_text("weights")
    done = verify(tmp_path)
    assert (done.exit_code, "[unsigned]" in done.stdout) == (1, True)
    assert verify(tmp_path / "none").exit_code == 2


def test_a_bundle_is_of_one_model(models, verify):
    done = verify(models, "--bundle", models / "a" / "model.sig")
    assert (done.exit_code, "[one-bundle]" in done.stderr) == (2, True)


def test_a_folder_that_cannot_be_read_is_undecided(key):
    with public_folder() as top:
        for name in ("a", "b", "c"):
            (top / "models" / name).mkdir(parents=True)
            (top / "models" / name / "w").write_text(name)
        public = top / "release.pub"
        public.write_bytes(key.with_suffix(".pub").read_bytes())
        assert invoke("sign", *(top / "models").iterdir(), "--key", key).exit_code == 0
        (top / "models" / "b").chmod(0)
        command = (
            "verify", "--recursive", str(top / "models"), "--key", str(public), "--format", "json",
        )  # fmt: skip
        try:
            (done,) = run_as_user([command], {}, rehearsed=[command])
        finally:
            (top / "models" / "b").chmod(0o755)
        assert verdicts(done, top / "models") == {
            "a": "accepted", "b": "unreadable", "c": "accepted",
        }  # fmt: skip
        assert done.exit_code == 3
