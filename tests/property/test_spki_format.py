# SPDX-License-Identifier: Apache-2.0
"""Public keys as bytes: what cryptography writes is read, and what is written it reads."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError, ModelSealError
from modelseal.formats import spki
from modelseal.trust import keys, signature

CURVES = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1()}
RSA = rsa.generate_private_key(65537, 2048).public_key()
INFO = PublicFormat.SubjectPublicKeyInfo
numbers = st.integers(0, 2**8192)
blobs = st.binary(max_size=140)
values = (
    st.builds(spki.Key, st.sampled_from([*CURVES, "ed25519"]), blobs, st.just(0), st.just(0))
    | st.builds(spki.Key, st.just("rsa"), st.just(b""), numbers, numbers)
)  # fmt: skip
made = st.one_of(
    st.builds(
        lambda secret, name: ec.derive_private_key(secret, CURVES[name]).public_key(),
        st.integers(1, 2**255), st.sampled_from(sorted(CURVES)),
    ),
    st.binary(min_size=32, max_size=32).map(
        lambda seed: ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key()
    ),
    st.just(RSA),
)  # fmt: skip


@given(values)
def test_a_key_is_read_back(value):
    assert spki.parse(spki.to_bytes(value)) == value


@given(made)
def test_it_is_what_cryptography_writes_and_reads(key):
    raw, pem = key.public_bytes(Encoding.DER, INFO), key.public_bytes(Encoding.PEM, INFO)
    assert signature.load_der(raw) == signature.load_pem(pem) == key
    assert signature.spki(key) == raw
    assert keys.public_pem(key) == pem
    assert spki.from_pem(b"a comment\r\n" + pem.replace(b"\n", b"\r\n")) == raw


def test_an_rsa_key_alone():
    raw = RSA.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    pem = RSA.public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert signature.load_der(raw) == signature.load_pem(pem) == RSA


def test_a_compressed_point_is_the_same_key():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    raw = spki.to_bytes(spki.Key("secp256r1", point))
    assert signature.load_der(raw) == load_der_public_key(raw) == key


@given(made, st.data())
def test_no_bent_key_is_read_that_cryptography_does_not_read_so(key, data):
    raw = bytearray(key.public_bytes(Encoding.DER, INFO))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ModelSealError):
        assert signature.load_der(bytes(raw)) == load_der_public_key(bytes(raw))


@given(made, st.data())
def test_no_bent_pem_is_read_that_cryptography_does_not_read_so(key, data):
    pem = bytearray(key.public_bytes(Encoding.PEM, INFO))
    pem[data.draw(st.integers(0, len(pem) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(ModelSealError):
        found = signature.load_pem(bytes(pem))
        with suppress(ValueError):  # it takes no text before the key in some places
            assert found == load_pem_public_key(bytes(pem))


@pytest.mark.parametrize("key", [
    ec.generate_private_key(ec.SECP224R1()), ec.generate_private_key(ec.SECP256K1()),
    rsa.generate_private_key(65537, 1024), dsa.generate_private_key(1024),
    ed448.Ed448PrivateKey.generate(), x25519.X25519PrivateKey.generate(),
], ids=lambda key: type(key).__name__)  # fmt: skip
def test_other_kinds_are_refused_by_their_kind(key):
    raw = key.public_key().public_bytes(Encoding.DER, INFO)
    with pytest.raises(FormatError, match="unsupported-key"):
        signature.load_der(raw)


@pytest.mark.parametrize("raw", [
    b"", b"\x30\x00", bytes(5000), spki.to_bytes(spki.Key("secp256r1", b"\x04" + bytes(64))),
    spki.to_bytes(spki.Key("secp256r1", b"\0")), spki.to_bytes(spki.Key("ed25519", bytes(31))),
    spki.to_bytes(spki.Key("rsa", modulus=2**2047, exponent=2)),
    spki.to_bytes(spki.Key("ed25519", bytes(32))) + b"\0",
])  # fmt: skip
def test_what_is_no_key_is_refused(raw):
    with pytest.raises(FormatError, match="bad-key"):
        signature.load_der(raw)


@pytest.mark.parametrize("text", [
    b"", b"-----BEGIN PUBLIC KEY-----", b"-----BEGIN PUBLIC KEY-----\nAA\n",
    b"-----BEGIN PUBLIC KEY-----\n\xff\n-----END PUBLIC KEY-----\n",
    b"-----BEGIN PUBLIC KEY-----\nA===\n-----END PUBLIC KEY-----\n",
    b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
])  # fmt: skip
def test_what_is_no_pem_is_refused(text):
    with pytest.raises(FormatError, match="bad-key"):
        signature.load_pem(text)
