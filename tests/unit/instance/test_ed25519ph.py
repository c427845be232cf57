# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hashlib import sha512

import pytest

from modelseal.instance.ed25519ph import is_signature

# RFC 8032 section 7.3
KEY = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")
SIGNATURE = bytes.fromhex(
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
    "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
)
DIGEST = sha512(b"abc").digest()
ORDER = 2**252 + 27742317777372353535851937790883648493


def test_the_vector_of_the_rfc():
    assert is_signature(KEY, SIGNATURE, DIGEST)


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_one_changed_bit_anywhere(at):
    def flip(data):
        at_ = at % len(data)
        return data[:at_] + bytes([data[at_] ^ 4]) + data[at_ + 1 :]

    assert not is_signature(flip(KEY), SIGNATURE, DIGEST)
    assert not is_signature(KEY, flip(SIGNATURE), DIGEST)
    assert not is_signature(KEY, SIGNATURE, flip(DIGEST))


def test_a_second_spelling_of_the_scalar():
    scalar = int.from_bytes(SIGNATURE[32:], "little") + ORDER
    assert not is_signature(KEY, SIGNATURE[:32] + scalar.to_bytes(32, "little"), DIGEST)


@pytest.mark.parametrize(
    ("key", "signature", "digest"),
    [
        (b"", SIGNATURE, DIGEST), (KEY, b"", DIGEST), (KEY, SIGNATURE, b""),
        (b"\xff" * 32, SIGNATURE, DIGEST), (KEY, b"\xff" * 32 + SIGNATURE[32:], DIGEST),
        (KEY, SIGNATURE[:-1], DIGEST), (KEY, SIGNATURE, DIGEST[:32]),
        ((1).to_bytes(31, "little") + b"\x80", SIGNATURE, DIGEST),
    ],
)  # fmt: skip
def test_what_is_no_key_signature_or_digest(key, signature, digest):
    assert not is_signature(key, signature, digest)
