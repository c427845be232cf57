# SPDX-License-Identifier: Apache-2.0
"""Certificates, timestamps and keys made to crash what reads them: refused, and nothing else.

cryptography reads on demand, and raises what its parts raise: an attribute of a certificate is as
good a place for a surprise as the certificate.
"""

from __future__ import annotations

import random
import warnings
from contextlib import suppress

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from forging import bends, der, issuing, keys, oracle, stamping
from forging.bundles import KINDS
from forging.logs import b64
from verifying import stamped as timestamp_times

from modelseal.errors import ModelSealError
from modelseal.formats.trusted_root import Authority
from modelseal.trust import anchors, fulcio, signature
from modelseal.verification.checks import certificate

ROUNDS = 700
TRUST = KINDS["artifact v2"].build().trust
ANCHORS = anchors.load(TRUST)
PERIOD = ANCHORS.logs[0].period


def read_certificate(data: bytes) -> None:
    """Ask everything of it that the verifier asks, whatever was refused before."""
    leaf = certificate.load(data)
    issuer = ANCHORS.certificate_authorities[0].chain[0]
    for ask in (
        lambda: certificate.key_of(leaf),
        lambda: fulcio.of_certificate(data),
        lambda: certificate.check_usage((leaf, leaf, leaf), certificate.FULCIO),
        lambda: certificate.check_transparency((leaf, issuer), ANCHORS.ct_logs),
        lambda: certificate.check_path(leaf, ANCHORS.certificate_authorities, "test"),
    ):
        with suppress(ModelSealError):
            ask()


def read_authority(data: bytes) -> None:
    """Believe it, and verify with it."""
    (authority,) = anchors._authorities((Authority("", (data,), PERIOD),))
    timestamp_times((stamping.Stamp().encode(b"signed"),), b"signed", (authority,))


def read_issuer(data: bytes) -> None:
    (authority,) = anchors._authorities((Authority("", (data,), PERIOD),))
    leaf = certificate.load(issuing.Leaf().issue("alice"))
    for _, path in certificate.check_path(leaf, (authority,), "test"):
        certificate.check_transparency(path, ANCHORS.ct_logs)


def chain(purpose: str) -> list[bytes]:
    return [one.public_bytes(Encoding.DER) for one in issuing.ca("honest", purpose).chain]


READERS = {
    "certificate": (
        read_certificate,
        [
            issuing.Leaf().issue("alice"),
            issuing.Leaf(kind="P521", scts=(issuing.Sct(), issuing.Sct("second"))).issue("alice"),
        ],
    ),
    "timestamp": (
        lambda data: timestamp_times((data,), b"signed", ANCHORS.timestamp_authorities),
        [
            stamping.Stamp(nonce=5, accuracy=2, certificates=("signer", "root")).encode(b"signed"),
            stamping.Stamp(certificates=()).encode(b"signed"),
        ],
    ),
    "key": (
        signature.load_der,
        [keys.spki(keys.key(kind, "alice")) for kind in ("P256", "P521", "Ed25519", "RSA")],
    ),
    "timestamp authority": (read_authority, chain("tsa")),
    "certificate authority": (read_issuer, chain("ca")),
}


@pytest.mark.parametrize("name", READERS)
def test_nothing_but_our_errors_comes_out(name):
    read, seeds = READERS[name]
    chance = random.Random(name)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography warns of serial numbers that it still takes
        for number in range(ROUNDS):
            data = der.mutated(seeds[number % len(seeds)], chance)
            try:
                read(data)
            except ModelSealError:
                refused += 1
    assert refused > ROUNDS / 10  # most of it is wrong, and found to be so


def year_zero(data: bytes) -> bytes:
    parsed = asn1_x509.Certificate.load(data)
    raw = b"\x18\x0f00000301120000Z"
    parsed["tbs_certificate"]["validity"]["not_before"] = asn1_x509.Time.load(raw)
    return parsed.dump(force=True)


def bit_string_in_the_name(data: bytes) -> bytes:
    return data.replace(b"\x0c\x02ca", b"\x03\x02\0a")


def one_extension_twice(data: bytes) -> bytes:
    parsed = asn1_x509.Certificate.load(data)
    extensions = parsed["tbs_certificate"]["extensions"]
    extensions.append(extensions[0])
    return parsed.dump(force=True)


@pytest.mark.parametrize("change", [year_zero, bit_string_in_the_name, one_extension_twice])
def test_certificates_that_crashed_a_reader(change):
    bad = change(issuing.Leaf().issue("alice"))

    def put(made) -> None:
        made["verificationMaterial"]["certificate"]["rawBytes"] = b64(bad)

    case = bends.written(put)(KINDS["artifact v2"]).build()
    assert oracle.ours(case) == "bad-certificate"
    with pytest.raises(ModelSealError) as refused:
        anchors._certificate(bad)
    assert refused.value.code == "trust-root"
