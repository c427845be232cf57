# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import encodebytes
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.errors import FormatError
from modelseal.instance import ca, client_keys

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([])


def test_certificate_of_a_version_that_there_is_not():
    now = datetime.now(UTC)
    der = (
        x509.CertificateBuilder(NAME, NAME, KEY.public_key(), 1, now, now + timedelta(1))
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    assert client_keys.load_certificate(der) == KEY.public_key()
    with pytest.raises(FormatError) as caught:
        client_keys.load_certificate(der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"))
    assert caught.value.code == "bad-key"


def test_signing_request_of_a_version_that_there_is_not():
    request = x509.CertificateSigningRequestBuilder(NAME).sign(KEY, hashes.SHA256())
    good = request.public_bytes(serialization.Encoding.DER)
    with pytest.raises(FormatError) as caught:
        ca._key_of_csr(_pem(good.replace(b"\x02\x01\x00", b"\x02\x01\x05", 1)))
    assert caught.value.code == "bad-csr"
    assert ca._key_of_csr(_pem(good)) == KEY.public_key()


def _pem(der):
    kind = b"CERTIFICATE REQUEST-----\n"
    return b"-----BEGIN " + kind + encodebytes(der) + b"-----END " + kind
