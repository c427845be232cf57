# SPDX-License-Identifier: Apache-2.0
"""What we sign, stock sigstore-python verifies, and the other way round."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import modelseal
from modelseal.model import manifest, scope
from modelseal.signing.sign import sign_all
from modelseal.trust.choice import Trust

ALICE = "alice@example.com"


def stock_verifies(sigstore, instance, what, *options, identity=ALICE):
    done = sigstore(
        "--trust-config", instance.trust_config, "verify", "identity", "--offline", *options,
        "--cert-identity", identity, "--cert-oidc-issuer", instance.issuer, what,
    )  # fmt: skip
    return done.returncode == 0


def signed(instance, path, **options):
    trust = Trust.of(instance.trust_config)
    return sign_all([path], trust=trust, identity_token=instance.token(ALICE), **options)[0]


def verdict(instance, path, **options):
    return modelseal.verify(
        path, identity=ALICE, issuer=instance.issuer, trust=instance.trust_config, **options
    )


def test_stock_verifies_the_file_that_we_signed(instance, sigstore, artifact):
    signed(instance, artifact)
    assert stock_verifies(sigstore, instance, artifact)
    assert not stock_verifies(sigstore, instance, artifact, identity="mallory@example.com")
    artifact.write_bytes(b"other")
    assert not stock_verifies(sigstore, instance, artifact)


def test_stock_verifies_the_folder_that_we_signed_by_its_root(instance, sigstore, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("weights")
    root = manifest.of_folder(model, scope.to_sign(model)).manifest.root().hex()
    bundle = ("--bundle", signed(instance, model).bundle)
    assert stock_verifies(sigstore, instance, f"sha256:{root}", *bundle)
    assert not stock_verifies(sigstore, instance, f"sha256:{'0' * 64}", *bundle)


def test_we_verify_the_file_that_stock_signed(instance, sigstore, artifact):
    done = sigstore(
        "--trust-config", instance.trust_config, "sign", "--identity-token", instance.token(ALICE),
        artifact,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert verdict(instance, artifact)
    artifact.write_bytes(b"other")
    assert verdict(instance, artifact).code == "digest-mismatch"


def test_an_attestation_is_no_signature_of_a_model(instance, sigstore, artifact, tmp_path):
    predicate = tmp_path / "predicate.json"
    predicate.write_text(
        '{"buildDefinition": {"buildType": "https://example.com/v1", "externalParameters": {}},'
        ' "runDetails": {"builder": {"id": "https://example.com/trainer"}}}'
    )
    done = sigstore(
        "--trust-config", instance.trust_config, "attest",
        "--identity-token", instance.token(ALICE), "--predicate", predicate,
        "--predicate-type", "https://slsa.dev/provenance/v1", artifact,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert verdict(instance, artifact).code == "not-a-model-signature"


@pytest.fixture
def legacy(instance, artifact):
    """Return a file signed with `--legacy-files`."""
    signed(instance, artifact, legacy_files=True)
    return artifact


def beside(path, suffix):
    return path.with_name(path.name + suffix)


def test_the_legacy_files_are_those_of_older_clients(legacy):
    certificate = x509.load_pem_x509_certificate(beside(legacy, ".crt").read_bytes())
    signature = b64decode(beside(legacy, ".sig").read_bytes(), validate=True)
    key = certificate.public_key()
    key.verify(signature, legacy.read_bytes(), ec.ECDSA(hashes.SHA256()))
    assert beside(legacy, ".sigstore").read_bytes() == beside(legacy, ".sigstore.json").read_bytes()


def test_the_older_name_of_a_bundle_is_found_by_stock_and_by_us(instance, sigstore, legacy):
    # With both names there the stock client wants to be told which: it does not choose.
    assert not stock_verifies(sigstore, instance, legacy)
    bundle = ("--bundle", beside(legacy, ".sigstore"))
    assert stock_verifies(sigstore, instance, legacy, *bundle)

    beside(legacy, ".sigstore.json").unlink()
    assert stock_verifies(sigstore, instance, legacy)
    assert verdict(instance, legacy)
    legacy.write_bytes(b"other")
    assert not stock_verifies(sigstore, instance, legacy)
    assert verdict(instance, legacy).code == "digest-mismatch"
