# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from modelseal.formats.sct import parse_sct_list, precert_leaf
from modelseal.instance import pki, tokens
from modelseal.instance.ca import CertificateAuthority
from modelseal.instance.ctlog import CtLog
from modelseal.instance.database import Database
from modelseal.instance.refused import Refused
from modelseal.instance.spki import spki

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START.timestamp() + 86400.75
ISSUER = "http://127.0.0.1:8100"
OIDC_KEY = rsa.generate_private_key(65537, 2048)
KEY, ROOT_KEY, CT_KEY, CLIENT = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))


@pytest.fixture
def ca(tmp_path):
    database = Database(tmp_path / "log.db")
    chain = pki.ca_chain(KEY.public_key(), ROOT_KEY, START)
    yield CertificateAuthority(KEY, chain, OIDC_KEY, ISSUER, CtLog(CT_KEY, database))
    database.close()


def sign(ca, now, subject="alice@example.com"):
    identity = tokens.parse_identity(subject)
    token = tokens.mint(OIDC_KEY, ISSUER, identity, audience="sigstore", now=now)
    pem = CLIENT.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    proof = CLIENT.sign(subject.encode(), ec.ECDSA(hashes.SHA256()))
    request = {
        "publicKeyRequest": {
            "publicKey": {"content": pem.decode()},
            "proofOfPossession": b64encode(proof).decode(),
        }
    }
    return [x509.load_pem_x509_certificate(item.encode()) for item in ca.sign(request, token, now)]


@pytest.mark.parametrize("days", [-2, 3649.999, 5000])
def test_no_certificate_outside_the_life_of_the_ca(ca, days):
    with pytest.raises(Refused) as error:
        sign(ca, NOW + days * 86400)
    assert (error.value.status, error.value.code) == (503, "clock")


def test_validity_begins_no_later_than_the_timestamp_can_say(ca):
    leaf = sign(ca, NOW)[0]
    assert leaf.not_valid_before_utc.timestamp() == int(NOW)


@pytest.mark.parametrize("identity", ["alice@example.com", "https://ci.example.com/x#y"])
def test_the_sct_signs_the_certificate_without_it(ca, identity):
    leaf, intermediate, _ = sign(ca, NOW, identity)
    extension = leaf.extensions[-1]
    assert extension.oid.dotted_string == "1.3.6.1.4.1.11129.2.4.2"
    (promise,) = parse_sct_list(extension.value.public_bytes())
    issuer = hashes.Hash(hashes.SHA256())
    issuer.update(spki(intermediate.public_key()))
    signed = precert_leaf(promise.timestamp, issuer.finalize(), leaf.tbs_precertificate_bytes)
    CT_KEY.public_key().verify(promise.signature, signed, ec.ECDSA(hashes.SHA256()))
    assert promise.timestamp == int(NOW * 1000)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == [identity]


def test_issuers_longer_than_one_length_byte(ca):
    issuer = "https://issuer.example/" + "x" * 300
    long = replace(ca, issuer=issuer)
    token = tokens.mint(
        OIDC_KEY, issuer, tokens.parse_identity("a@b.c"), audience="sigstore", now=NOW
    )
    assert tokens.check(token, OIDC_KEY, issuer, now=NOW)
    leaf = long._issue(CLIENT.public_key(), long._named(token, NOW), NOW)
    value = leaf.extensions.get_extension_for_oid(
        x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
    ).value.value
    assert value == b"\x0c\x82" + len(issuer).to_bytes(2, "big") + issuer.encode()
