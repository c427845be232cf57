# SPDX-License-Identifier: Apache-2.0
"""Keys on the command line: make one, sign, verify, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from in_process import answers, invoke
from patience import PATIENCE

ROOT = Path(__file__).parents[3]


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


def test_a_key_named_pub_would_be_where_its_public_key_goes(tmp_path):
    done = run("key", "generate", tmp_path / "release.pub")
    assert (done.exit_code, "[named-twice]" in done.stderr) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []


ONE_SIGNATURE = """
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from modelseal.errors import Undecided
from modelseal.trust import private_keys


class Token:
    def __init__(self, uri, password):
        self.key, self.used = private_keys.load_private(Path(uri.partition(":")[2])), False

    def public_key(self):
        return self.key.public_key()

    def sign_digest(self, hash_name, digest):
        if self.used:
            raise Undecided("signer-failed", "The token was pulled out.", "Put it in again.")
        self.used = True
        return self.key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
"""


@pytest.mark.parametrize("output", ["text", "json"])
def test_what_was_signed_before_a_failure_is_told(tmp_path, key, output):
    """A hardware token that is pulled out after its first signature."""
    site = tmp_path / "site"
    info = site / "token_of_a_test-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "token_of_a_test.py").write_text(ONE_SIGNATURE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: token-of-a-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[modelseal.keys]\ntesttoken = token_of_a_test:Token\n")
    models = [tmp_path / name for name in ("a.bin", "b.bin", "c.bin")]
    for model in models:
        model.write_bytes(b"weights of " + model.name.encode())
    done = subprocess.run(
        [sys.executable, "-m", "modelseal", "sign", *models, "--key", f"testtoken:{key[0]}",
         "--format", output],
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done
    assert [path.name for path in tmp_path.glob("*.sigstore.json")] == ["a.bin.sigstore.json"]
    if output == "json":
        document = json.loads(done.stdout)
        assert [one["model"] for one in document["signed"]] == [str(models[0])]
        assert (document["error"]["code"], document["exit_code"]) == ("signer-failed", 3)
        schema = json.loads((ROOT / "docs/schema/output-1.json").read_text())
        jsonschema.validate(document, schema)
    else:
        assert done.stdout.startswith(f"SIGNED {models[0]}"), done
        assert "The token was pulled out. [signer-failed]" in done.stderr
        assert "1 of 3 models were signed before that" in done.stderr
