# SPDX-License-Identifier: Apache-2.0
"""`modelseal verify` of files that other clients signed, by every key and its hash."""

from __future__ import annotations

import json
from hashlib import new

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from verifying import check_by
from workshop import ARTIFACT, KEYS

from modelseal.admission.check import check
from modelseal.formats.bundle import Bundle, MessageSignature, to_bytes
from modelseal.policy.rules import Policy
from modelseal.trust.trust_root import TrustRoot
from modelseal.verification.believed import TrustedKey
from modelseal.verification.inspect import inspect
from modelseal.verification.verifier import Verifier

HASHES = {"P256": "sha256", "P384": "sha384", "P521": "sha512", "RSA": "sha256"}
ALICE = Policy.for_signer("alice@example.com", "http://127.0.0.1:1")
KINDS = [("artifact", "hashedrekord", "0.0.1"), ("artifact", "hashedrekord", "0.0.2")]
V3 = "application/vnd.dev.sigstore.bundle.v0.3+json"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(ARTIFACT)
    return path


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_signed_keyless_by_another_key(kind, name, noted, workshop, model):
    bundle = workshop.bundle(*kind, name)
    if not noted:
        del bundle["messageSignature"]["messageDigest"]
    signed = model.with_name("model.bin.sigstore.json")
    signed.write_text(json.dumps(bundle))
    verdict = check(model, ALICE, Verifier(workshop.trust))
    assert verdict, verdict.message
    manifest = verdict.manifest
    assert manifest.serialization.hash_type == HASHES[name]
    assert manifest.resources[0].digest == new(HASHES[name], ARTIFACT).digest()
    (said,) = inspect(signed)
    (file,) = said["manifest"]["files"]
    assert file[HASHES[name]] == new(HASHES[name], ARTIFACT).hexdigest()
    model.write_bytes(b"Weights")
    assert check(model, ALICE, Verifier(workshop.trust)).code == "digest-mismatch"


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_signed_with_a_managed_key(kind, name, workshop, model):
    private = KEYS[name]()
    bundle = workshop.bundle(*kind, name, managed=private)
    model.with_name("model.bin.sigstore.json").write_text(json.dumps(bundle))
    believed = TrustedKey(private.public_key())
    for root in (None, workshop.trust):
        assert check_by(model, believed, root=root)
    model.write_bytes(b"Weights")
    assert check_by(model, believed).code == "digest-mismatch"


@pytest.fixture
def ed25519_signed(model) -> TrustedKey:
    """Sign the model with an Ed25519 key, which needs every byte of it."""
    private = ed25519.Ed25519PrivateKey.generate()
    content = MessageSignature(private.sign(ARTIFACT))
    bundle = Bundle(V3, (), "a key", (), (), content)
    model.with_name("model.bin.sigstore.json").write_bytes(to_bytes(bundle))
    return TrustedKey(private.public_key())


def test_a_file_signed_with_an_ed25519_key(ed25519_signed, model, tmp_path):
    nobody = TrustRoot(
        b'{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}', "nobody"
    )
    for root in (None, nobody):
        verdict = check_by(model, ed25519_signed, root=root)
        assert verdict, verdict.message
    assert check_by(model, ed25519_signed)
    model.write_bytes(b"Weights")
    assert check_by(model, ed25519_signed).code == "signature-invalid"
    folder = tmp_path / "folder"
    folder.mkdir()
    signed = model.with_name("model.bin.sigstore.json")
    assert check_by(folder, ed25519_signed, bundle=signed).code == "wrong-kind"


def test_an_ed25519_key_that_did_not_sign(ed25519_signed, model):
    other = TrustedKey(ed25519.Ed25519PrivateKey.generate().public_key())
    assert check_by(model, other).code == "signature-invalid"
    assert check_by(model, TrustedKey(KEYS["P256"]().public_key())).code in {
        "unsupported-digest", "signature-invalid"
    }  # fmt: skip
