# SPDX-License-Identifier: Apache-2.0
"""Managed keys and trusted roots."""

from __future__ import annotations

import copy
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PublicFormat

from client_cases.case import (
    BY_NOBODY,
    CASES,
    DER,
    OLD_DSSE_V2,
    V1,
    V2,
    Case,
    Shop,
    at,
    b64,
    case,
    entry_of,
    root_of,
    set_period,
    stamps_of,
)
from client_cases.timestamps import AGO, certificate
from modelseal.formats import sct
from modelseal.instance import pki

if TYPE_CHECKING:
    from collections.abc import Callable


@case("managed-key-happy-path")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2, managed=key), key=key)


@case("managed-key-of-p384-happy-path")
def _(shop: Shop) -> Case:
    """Only the artifact: of a digest by SHA-256 nobody could tell."""
    key = ec.generate_private_key(ec.SECP384R1())
    return Case(shop.bundle(*OLD_DSSE_V2, "P384", managed=key), key=key)


@case("managed-key-and-trusted-root")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    bundle = shop.bundle(*V2, managed=key)
    bundle["verificationMaterial"] = {"publicKey": {"hint": "a hint that nobody knows"}}
    return Case(bundle, BY_NOBODY, key)


@case("managed-key-wrong-key_fail")
def _(shop: Shop) -> Case:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    return Case(shop.bundle(*V2, managed=key), key=other)


@case("managed-key-no-key_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V2, managed=ec.generate_private_key(ec.SECP256R1())))


@case("managed-key-and-client-identity_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2, managed=key), key=key, identity=True)


@case("managed-key-for-certificate_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2), key=key)


@case("managed-key-without-log-entry_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    bundle = shop.bundle(*V2, managed=key)
    del bundle["verificationMaterial"]["tlogEntries"]
    return Case(bundle, key=key)


# -- trusted roots --------------------------------------------------------------------------------


@case("trust-root-tlog-missing-validity-start_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1), root_of(shop, tlogs=set_period(shop.root["tlogs"])))


@case("trust-root-tlog-validity-end-inclusive")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    taken = datetime.fromtimestamp(int(entry_of(bundle)["integratedTime"]), UTC)
    period = {"start": at(-9e6), "end": at(0, taken)}
    return Case(bundle, root_of(shop, tlogs=set_period(shop.root["tlogs"], **period)))


def ending(seconds: int) -> Callable[[Shop], Case]:
    def make(shop: Shop) -> Case:
        bundle = shop.bundle(*V2)
        token = tsp.TimeStampResp.load(b64decode(stamps_of(bundle)[0]["signedTimestamp"]))
        info = token["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed
        period = {"start": at(-9e6), "end": at(seconds, info["gen_time"].native)}
        authorities = set_period(shop.root["timestampAuthorities"], **period)
        return Case(bundle, root_of(shop, timestampAuthorities=authorities))

    return make


CASES |= {
    "trust-root-tsa-validity-end-inclusive": ending(0),
    "trust-root-tsa-validity-ended-before_fail": ending(-1),
}


@case("trust-root-log-of-two-periods")
def _(shop: Shop) -> Case:
    """The log was trusted, then not, and is again; each period has its own place in the root."""
    ended = set_period(shop.root["tlogs"], start=at(-9e6), end=at(-8e6))
    return Case(shop.bundle(*V1), root_of(shop, tlogs=[*ended, *shop.root["tlogs"]]))


@case("trust-root-another-key-under-the-id-of-a-log")
def _(shop: Shop) -> Case:
    others = copy.deepcopy(shop.root["tlogs"])
    for one in others:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        one["publicKey"]["keyDetails"] = "PKIX_ECDSA_P256_SHA_256"
        one["publicKey"]["rawBytes"] = b64(key.public_bytes(DER, PublicFormat.SubjectPublicKeyInfo))
    return Case(shop.bundle(*V2), root_of(shop, tlogs=[*others, *shop.root["tlogs"]]))


@case("trust-root-of-unknown-keys-too")
def _(shop: Shop) -> Case:
    root = root_of(shop)
    for name in ("tlogs", "ctlogs"):
        unknown = copy.deepcopy(root[name][0])
        unknown["publicKey"] |= {"keyDetails": "ML_DSA_65", "rawBytes": "AAAA"}
        unknown["logId"]["keyId"] = b64(b"\1" * 32)
        root[name].insert(0, unknown)
    return Case(shop.bundle(*V2), root)


@case("invalid-ct-key_fail")
def _(shop: Shop) -> Case:
    logs = copy.deepcopy(shop.root["ctlogs"])
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = other.public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)
    logs[0]["publicKey"]["rawBytes"] = b64(spki)
    return Case(shop.bundle(*V2), root_of(shop, ctlogs=logs))


@case("sct-duplicate-intermediate-name")
def _(shop: Shop) -> Case:
    known = shop.root["certificateAuthorities"]
    raw = b64decode(known[0]["certChain"]["certificates"][0]["rawBytes"])
    key = ec.generate_private_key(ec.SECP256R1())
    same = x509.load_der_x509_certificate(raw).subject
    decoy = (
        x509.CertificateBuilder()
        .subject_name(same).issuer_name(same).public_key(key.public_key()).serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2045, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(pki.key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain = {"certificates": [{"rawBytes": b64(decoy.public_bytes(DER))}]}
    added = {"uri": "https://ca.test", "certChain": chain, "validFor": {"start": at(-9e6)}}
    return Case(shop.bundle(*V2), root_of(shop, certificateAuthorities=[added, *known]))


@case("trust-root-ca-chain-with-a-later-certificate")
def _(shop: Shop) -> Case:
    """Of another CA, which began when the signature was made long ago."""
    known = copy.deepcopy(shop.root["certificateAuthorities"])
    key = ec.generate_private_key(ec.SECP256R1())
    ca = (x509.BasicConstraints(ca=True, path_length=0), True)
    later = certificate("later", key, None, key, ca, start=-60, end=9e6).public_bytes(DER)
    known[0]["certChain"]["certificates"].insert(1, {"rawBytes": b64(later)})
    return Case(shop.bundle(*V2, certified=AGO), root_of(shop, certificateAuthorities=known))


@case("bundle-with-sct-with-extensions")
def _(shop: Shop) -> Case:
    """A CT log whose timestamps name the leaf's index in an extension, as those with tiles do."""
    log = shop.services.ca.ct_log
    real = log.add

    def add(tbs: bytes, issuer: x509.Certificate, now: float) -> sct.Sct:
        plain = real(tbs, issuer, now)
        spki = issuer.public_key().public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)
        extensions = b"\0\0\5\0\0\0\0\7"
        leaf = sct.precert_leaf(plain.timestamp, sha256(spki).digest(), tbs, extensions)
        signed = log.key.sign(leaf, ec.ECDSA(hashes.SHA256()))
        return sct.Sct(plain.log_id, plain.timestamp, signed, extensions)

    object.__setattr__(log, "add", add)
    try:
        return Case(shop.bundle(*V2))
    finally:
        object.__delattr__(log, "add")
