# SPDX-License-Identifier: Apache-2.0
"""What `--key` may name: files, built-in schemes, schemes of other packages."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from patience import PATIENCE
from verifying import authenticate

from modelseal.errors import ModelSealError, Undecided, UsageError
from modelseal.signing.signers import schemes
from modelseal.signing.signers.held import sign
from modelseal.signing.signers.key import KeySigner
from modelseal.trust import private_keys, signature
from modelseal.verification.believed import TrustedKey

PACKAGE = """
class Key:
    def __init__(self, uri, password): self.asked = uri, password
open_key = Key
"""


def publish(folder, name, scheme):
    """Put a package with an entry point into `folder`, as an installer does."""
    (folder / f"{name}.py").write_text(PACKAGE)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelseal.keys]\n{scheme} = {name}:open_key\n")


def test_a_scheme_of_another_package(tmp_path, monkeypatch):
    publish(tmp_path, "one_kms_of_a_test", "testkms")
    monkeypatch.syspath_prepend(tmp_path)
    assert schemes.load("TestKMS://a/b", b"pw").asked == ("TestKMS://a/b", b"pw")

    publish(tmp_path, "another_kms_of_a_test", "testkms")
    with pytest.raises(UsageError, match="more than one package"):
        schemes.load("testkms://a/b")


def test_a_built_in_scheme_is_not_replaced(tmp_path, monkeypatch):
    publish(tmp_path, "bad_kms_of_a_test", "awskms")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="no URI of a key in AWS KMS"):
        schemes.load("awskms://")


def test_a_file_with_a_colon_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    private_keys.generate(tmp_path / "team:release.key", "p256")
    assert isinstance(schemes.load("./team:release.key"), ec.EllipticCurvePrivateKey)
    with pytest.raises(UsageError, match="The scheme 'team'") as caught:
        schemes.load("team:release.key")
    assert caught.value.code == "bad-key-uri"


@pytest.mark.parametrize(
    ("uri", "package", "extra"),
    [("pkcs11:token=a", "pkcs11", "pkcs11"), ("awskms:///alias/a", "boto3", "awskms")],
)
def test_an_extra_that_is_not_installed(tmp_path, uri, package, extra):
    (tmp_path / "model").write_text("weights")
    script = f"import sys; sys.modules[{package!r}] = None; from modelseal.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "sign", tmp_path / "model", "--key", uri],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[extra-missing]" in done.stderr
    assert f"modelseal[{extra}]" in done.stderr


class Held:
    """A held key that signs with one key and shows the public part of another."""

    def __init__(self, key, shows=None):
        self.key, self.shows = key, shows or key

    def public_key(self):
        return self.shows.public_key()

    def sign_digest(self, hash_name, digest):
        algorithm = utils.Prehashed(signature.HASHES[hash_name])
        return self.key.sign(digest, ec.ECDSA(algorithm))


P256, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


def test_a_held_key_signs_what_a_key_signs():
    data = KeySigner(Held(P256)).artifact(b"\1" * 32)
    assert authenticate(data, TrustedKey(P256.public_key())).kind == "artifact"


def test_what_a_held_key_signs_is_verified():
    with pytest.raises(Undecided) as caught:
        KeySigner(Held(P256, shows=OTHER)).artifact(b"\1" * 32)
    assert caught.value.code == "signer-failed"
    with pytest.raises(Undecided):
        sign(Held(P256), "sha384", b"\1" * 48)  # not a hash of this key


def test_held_keys_of_other_kinds_are_refused():
    signer = KeySigner(Held(ed25519.Ed25519PrivateKey.generate()))
    for method, argument in ((signer.statement, b"{}"), (signer.artifact, b"\1" * 32)):
        with pytest.raises(ModelSealError) as caught:
            method(argument)
        assert caught.value.code == "unsupported-key"
