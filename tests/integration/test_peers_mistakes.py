# SPDX-License-Identifier: Apache-2.0
"""What model_signing 1.1.1 gets wrong is right here: the list of issue 4, one test a line.

That it is wrong there was tried with the peer itself; tests/interop has what of it both agree on.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from in_process import answers, invoke
from private_ca import FUTURE, PAST, VALID, chain, leaf

from modelseal.admission.check import check
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import AcceptedKey
from modelseal.trust import keys, private_keys
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "real").mkdir(parents=True)
    (folder / "weights").write_text("weights")
    (folder / "real" / "code.py").write_text("print()")
    return folder


@pytest.fixture
def key(tmp_path):
    public = private_keys.generate(tmp_path / "release.key", "p256")
    return tmp_path / "release.key", public


def signed(model, key, *options) -> Path:
    done = invoke("sign", model, "--key", key[0], "--overwrite", *options)
    assert done.exit_code == 0, done.output
    return model / "model.sig"


def verdict(model, key) -> dict:
    (said,) = answers(invoke("verify", model, "--key", key[1], "--format", "json").stdout)
    return said


def test_links_to_folders_are_walked(model, key):
    (model / "code").symlink_to("real")
    signed(model, key, "--allow-symlinks")
    assert verdict(model, key)["verdict"] == "accepted"
    (model / "code" / "more.py").write_text("print()")
    assert verdict(model, key)["diff"]["added"] == ["code/more.py", "real/more.py"]
    (model / "real" / "more.py").unlink()
    (model / "real" / "code.py").write_text("changed")
    assert verdict(model, key)["diff"]["changed"] == ["code/code.py", "real/code.py"]
    (model / "code").unlink()
    assert verdict(model, key)["diff"]["missing"] == ["code/code.py"]


@pytest.mark.parametrize("name", ["a:b", "weights:0:4", ":", "c:"])
def test_names_with_colons_under_shards(model, key, name):
    (model / name).write_text("colons")
    signed(model, key, "--shard-size", 4)
    assert verdict(model, key)["verdict"] == "accepted"
    (model / name).write_text("Colons")
    assert verdict(model, key)["code"] == "digest-mismatch"


@pytest.mark.parametrize("hash_type", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shards", [(), ("--shard-size", 4)])
def test_the_bundle_says_how_it_is_verified(model, key, hash_type, shards):
    bundle = signed(model, key, "--hash-type", hash_type, *shards)
    assert verdict(model, key)["verdict"] == "accepted"
    (model / "weights").write_text("Weights")
    assert verdict(model, key)["code"] == "digest-mismatch"
    (said,) = answers(invoke("inspect", bundle, "--format", "json").stdout)
    assert said["manifest"]["hash_type"] == hash_type
    assert said["manifest"]["method"] == ("shards" if shards else "files")


def test_recorded_ignores_are_shown_and_can_be_refused(model, key):
    bundle = signed(model, key, "--ignore-path", model / "real")
    (model / "real" / "code.py").write_text("changed")
    done = invoke("verify", model, "--key", key[1])
    assert (done.exit_code, "'real' was left out" in done.stderr) == (0, True)
    assert "real" in verdict(model, key)["ignored"]

    who = AcceptedKey("release", keys.load_public(key[1]))
    for allowed, code in (((), "ignored-not-allowed"), (("real",), "accepted")):
        rule = Rule(models=("*",), signers=("release",), allow_ignored=allowed)
        policy = Policy(signers=(who,), rules=(rule,))
        assert check(model, policy, Verifier(), bundle).code == code


@pytest.mark.parametrize("content", [(), (".git/HEAD", ".gitignore"), ("model.sig",), ("a/b/",)])
def test_empty_models_are_refused(tmp_path, key, content):
    folder = tmp_path / "empty"
    folder.mkdir()
    for name in content:
        path = folder / name
        path.mkdir(parents=True) if name.endswith("/") else path.parent.mkdir(exist_ok=True)
        path.is_dir() or path.touch()
    done = invoke("sign", folder, "--key", key[0], "--overwrite")
    assert (done.exit_code, "[empty-model]" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("period", "code"),
    [(VALID, "accepted"), (PAST, "certificate-expired"), (FUTURE, "certificate-expired")],
)
def test_a_certificate_must_be_valid_now(model, tmp_path, period, code):
    """With a trusted time, then: tests/unit/verification/test_managed.py has a clock of its own."""
    (one,) = chain(leaf(period=period))
    private, certificate = one.write(tmp_path)
    signed(model, (private, None), "--certificate", certificate)
    done = invoke("verify", model, "--certificate-chain", certificate, "--format", "json")
    (said,) = answers(done.stdout)
    assert said["code"] == code


def test_a_hint_of_the_der_is_explained(model, key):
    bundle = signed(model, key)
    said = json.loads(bundle.read_text())
    pem, der = keys.hints(keys.load_public(key[1]))
    assert said["verificationMaterial"]["publicKey"]["hint"] == pem

    said["verificationMaterial"]["publicKey"]["hint"] = der
    bundle.write_text(json.dumps(said))
    done = invoke("verify", model, "--key", key[1])
    assert done.exit_code == 0
    assert "names the key by the SHA-256 of its DER" in done.stderr
    checks = {check["name"]: check["detail"] for check in verdict(model, key)["checks"]}
    assert "of its DER" in checks["note"]

    said["verificationMaterial"]["publicKey"]["hint"] = der[::-1]
    bundle.write_text(json.dumps(said))
    refused = verdict(model, key)
    assert refused["code"] == "key-mismatch"
    assert pem in refused["message"]
    assert der in refused["hint"]


def test_the_reason_of_a_bad_signature_is_said(model, key):
    """There, the message is empty."""
    bundle = signed(model, key)
    said = json.loads(bundle.read_text())
    (one,) = said["dsseEnvelope"]["signatures"]
    other = json.loads(signed(model, key).read_text())
    one["sig"] = other["dsseEnvelope"]["signatures"][0]["sig"]  # of the same payload: good
    bundle.write_text(json.dumps(said))
    assert verdict(model, key)["verdict"] == "accepted"
    one["sig"] = one["sig"][:8] + ("A" if one["sig"][8] != "A" else "B") + one["sig"][9:]
    bundle.write_text(json.dumps(said))
    assert verdict(model, key)["code"] == "signature-invalid"
    assert verdict(model, key)["message"]


def test_an_encrypted_key_and_an_own_bundle_inside_the_model(model, tmp_path):
    private_keys.generate(tmp_path / "secret.key", "p384", b"secret")
    path = tmp_path / "secret.key"
    bundle = model / "real" / "my.sig"
    done = invoke(
        "sign", model, "--key", path, "--password-env", "PW", "--bundle", bundle,
        env={"PW": "secret"},
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = invoke("verify", model, "--key", path.with_suffix(".pub"), "--bundle", bundle)
    assert done.exit_code == 0, done.output


def test_patterns_are_no_paths_to_leave_out(model, key, tmp_path):
    """Section 6.2.1 wants none recorded; there, they are, and do nothing."""
    pattern = ("--ignore-path", model / "*.py")
    done = invoke("sign", model, "--key", key[0], *pattern)
    assert (done.exit_code, "[bad-ignored-path]" in done.stderr) == (2, True)
    done = invoke("digest", model, *pattern)
    assert (done.exit_code, "[bad-ignored-path]" in done.stderr) == (2, True)
    known, bundle = tmp_path / "known.json", tmp_path / "model.sig"
    listed = json.loads(invoke("digest", model, "--format", "json").stdout)
    listed["serialization"]["ignore_paths"].append("*.py")
    known.write_text(json.dumps(listed))
    elsewhere = ("sign", "elsewhere", "--key", key[0], "--manifest", known, "--bundle", bundle)
    done = invoke(*elsewhere)
    assert (done.exit_code, "[bad-ignored-path]" in done.stderr) == (2, True)
    assert not bundle.exists()
