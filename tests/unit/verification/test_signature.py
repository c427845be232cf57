# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import new, sha512

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from modelseal.errors import FormatError, Unverified
from modelseal.trust import signature
from modelseal.trust.signature import Prehashed, check_signature

MESSAGE = b"weights"
CURVES = [
    (ec.SECP256R1(), hashes.SHA256()),
    (ec.SECP384R1(), hashes.SHA384()),
    (ec.SECP384R1(), hashes.SHA256()),
    (ec.SECP521R1(), hashes.SHA512()),
    (ec.SECP521R1(), hashes.SHA256()),
]
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def pem(key) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def refused(key, signed: bytes, message, *more) -> None:
    with pytest.raises(Unverified) as caught:
        check_signature(key, signed, message, *more)
    assert caught.value.code == "signature-invalid"


@pytest.mark.parametrize(("curve", "algorithm"), CURVES)
def test_ecdsa_with_the_hash_of_its_curve(curve, algorithm):
    private = ec.generate_private_key(curve)
    key, signed = private.public_key(), private.sign(MESSAGE, ec.ECDSA(algorithm))
    digest = Prehashed(algorithm.name, new(algorithm.name, MESSAGE).digest())
    check_signature(key, signed, MESSAGE)
    check_signature(key, signed, digest)
    refused(key, signed, b"other")
    refused(key, signed[:-1], MESSAGE)
    refused(key, b"", MESSAGE)
    refused(key, signed, Prehashed(algorithm.name, digest.digest[:-1]))


def test_p256_never_signs_with_another_hash():
    private = ec.generate_private_key(ec.SECP256R1())
    signed = private.sign(MESSAGE, ec.ECDSA(hashes.SHA512()))
    refused(private.public_key(), signed, MESSAGE)
    refused(private.public_key(), signed, Prehashed("sha512", sha512(MESSAGE).digest()))


def test_ed25519_signs_messages_not_digests():
    key, signed = ED_KEY.public_key(), ED_KEY.sign(MESSAGE)
    check_signature(key, signed, MESSAGE)
    refused(key, signed, b"other")
    with pytest.raises(FormatError) as caught:
        check_signature(key, signed, Prehashed("sha512", sha512(MESSAGE).digest()))
    assert caught.value.code == "unsupported-digest"


def test_rsa_in_the_padding_that_is_asked_for():
    key = RSA_KEY.public_key()
    plain = RSA_KEY.sign(MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    pss = RSA_KEY.sign(MESSAGE, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    check_signature(key, plain, MESSAGE)
    check_signature(key, pss, MESSAGE, "pss")
    refused(key, pss, MESSAGE)
    refused(key, plain, MESSAGE, "pss")


def test_keys_are_read_from_pem_and_der():
    for private in (RSA_KEY, ED_KEY, ec.generate_private_key(ec.SECP521R1())):
        key = private.public_key()
        assert signature.load_pem(pem(key)) == key
        assert signature.load_der(signature.spki(key)) == key


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65537, 1024)],
    ids=["secp256k1", "rsa-1024"],
)
def test_other_keys_are_refused(key):
    with pytest.raises(FormatError) as caught:
        signature.load_pem(pem(key.public_key()))
    assert caught.value.code == "unsupported-key"


@pytest.mark.parametrize("data", [b"", b"-----BEGIN PUBLIC KEY-----\n", b"\x30\x00"])
def test_what_is_no_key(data):
    for load in (signature.load_pem, signature.load_der):
        with pytest.raises(FormatError) as caught:
            load(data)
        assert caught.value.code == "bad-key"
