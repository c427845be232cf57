# SPDX-License-Identifier: Apache-2.0
"""model_signing, the reference implementation of OpenSSF Model Signing, in both directions."""

from __future__ import annotations

import json
import shutil

import hub
import pytest

import modelseal

pytestmark = pytest.mark.interop

ALICE = "alice@example.com"


def peer_signed(model_signing, instance, model, signature, *options):
    done = model_signing(
        "sign", "sigstore", "--trust_config", instance.trust_config, "--signature", signature,
        "--identity_token", instance.token(ALICE), *options, model,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return signature


def we_verify(instance, model, signature, identity=ALICE):
    return modelseal.verify(
        model, bundle=signature, trust=instance.trusted_root,
        identity=identity, issuer=instance.issuer,
    )  # fmt: skip


def peer_verifies(model_signing, instance, model, signature, identity=ALICE, *options):
    done = model_signing(
        "verify", "sigstore", "--trust_config", instance.trust_config, "--signature", signature,
        "--identity", identity, "--identity_provider", instance.issuer, *options, model,
    )  # fmt: skip
    return done.returncode == 0


def test_we_verify_the_folder_it_signed(model_signing, lab, tmp_path):
    instance, model = lab.instance, shutil.copytree(lab.models.folder, tmp_path / "model")
    signature = peer_signed(model_signing, instance, model, model / "model.sig")
    assert we_verify(instance, model, signature)
    assert we_verify(instance, model, signature, "mallory@example.com").code == "identity-mismatch"

    (model / "ab").write_text("changed")
    assert we_verify(instance, model, signature).code == "digest-mismatch"


def test_we_verify_the_file_it_signed(model_signing, lab, tmp_path):
    instance, model = lab.instance, shutil.copy(lab.models.file, tmp_path)
    signature = peer_signed(model_signing, instance, model, tmp_path / "model.sig")
    assert we_verify(instance, model, signature)

    altered = json.loads(signature.read_text())
    altered["dsseEnvelope"]["payloadType"] = "application/json"
    signature.write_text(json.dumps(altered))
    assert we_verify(instance, model, signature).status == "refused"


def test_it_verifies_what_we_signed_in_the_cache_of_a_hub(model_signing, lab, tmp_path):
    instance = lab.instance
    with hub.serving("org/digits", {"config.json": b"{}", "sub/weights": b"weights"}) as served:
        snapshot = served.download(tmp_path / "cache")
    assert (snapshot / "config.json").is_symlink()
    signed = modelseal.sign(
        snapshot, trust=instance.trust_config, identity_token=instance.token(ALICE)
    )
    links = (ALICE, "--allow_symlinks")  # it does not go by what the bundle says of them
    assert peer_verifies(model_signing, instance, snapshot, signed.bundle, *links)
    copy = shutil.copytree(snapshot, tmp_path / "copy")
    assert peer_verifies(model_signing, instance, copy, copy / "model.sig")

    blob = (snapshot / "config.json").resolve()
    blob.chmod(0o600)
    blob.write_text("[]")
    assert not peer_verifies(model_signing, instance, snapshot, signed.bundle, *links)


def test_it_verifies_the_folder_we_signed(model_signing, lab, tmp_path):
    instance, model = lab.instance, shutil.copytree(lab.models.folder, tmp_path / "model")
    signed = modelseal.sign(
        model, trust=instance.trust_config, identity_token=instance.token(ALICE)
    )
    assert peer_verifies(model_signing, instance, model, signed.bundle)
    assert not peer_verifies(model_signing, instance, model, signed.bundle, "mallory@example.com")

    (model / "new").write_text("added")
    assert not peer_verifies(model_signing, instance, model, signed.bundle)
