# SPDX-License-Identifier: Apache-2.0
"""What would only burn the verifier's time is refused by its size or number, before it is tried."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from forging import bends, issuing, keys, oracle
from forging.bundles import KINDS
from forging.logs import b64

from modelseal.errors import ModelSealError
from modelseal.formats import timestamp
from modelseal.trust import signature
from modelseal.verification.checks import authority

NOW = datetime.now(UTC)


def test_a_timestamp_with_a_thousand_certificates_is_not_read():
    large = bends.stamp(tail=b"\0" * timestamp.LIMIT)
    assert oracle.ours(large(KINDS["artifact v2"]).build()) == "bad-timestamp"
    many = bends.written(
        lambda made: made["verificationMaterial"].update(
            timestampVerificationData={
                "rfc3161Timestamps": [{"signedTimestamp": b64(bytes([n]))} for n in range(65)]
            }
        )
    )
    assert oracle.ours(many(KINDS["artifact v2"]).build()) == "too-many"


def issued(number: int, name: str, key, *, is_ca: bool) -> x509.Certificate:
    """Return a certificate of `name`, by "between"."""
    by = keys.key("P256", "between")
    public = key.public_key()
    uses = ("key_cert_sign",) if is_ca else ("digital_signature",)
    builder = (
        x509.CertificateBuilder()
        .subject_name(issuing.name(name))
        .issuer_name(issuing.name("between"))
        .public_key(public)
        .serial_number(number)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(issuing.usage(*uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
        )
    )
    return builder.sign(by, hashes.SHA256())


def test_a_labyrinth_of_certificates_ends():
    """Sixty CAs of one name that all issued each other: 60 ** 8 paths, none to a trusted root."""
    between = [issued(n, "between", keys.key("P256", "between"), is_ca=True) for n in range(1, 61)]
    leaf = issued(99, "leaf", keys.key("P256", "leaf"), is_ca=False)
    root = issuing.ca("honest").chain[-1]
    with pytest.raises(ModelSealError) as refused:
        authority.check_path((leaf, *between), (root,), NOW)
    assert refused.value.code == "untrusted-certificate"
    assert "maximum signature check limit" in refused.value.hint


def test_a_key_that_takes_long_to_verify_with_is_not_taken():
    numbers = keys.rsa.RSAPublicNumbers(65537, (1 << 16383) | 1)
    with pytest.raises(ModelSealError) as refused:
        signature.accepted(numbers.public_key())
    assert refused.value.code == "unsupported-key"
