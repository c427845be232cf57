# SPDX-License-Identifier: Apache-2.0
"""Timestamps (RFC 3161)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from client_cases.case import (
    CASES,
    DER,
    LATER,
    V2,
    Case,
    Json,
    Shop,
    at,
    b64,
    case,
    root_of,
    set_period,
    signature_of,
    stamps_of,
)
from modelseal.instance import pki
from modelseal.instance.tsa import TimestampAuthority

if TYPE_CHECKING:
    from collections.abc import Callable


@case("rekor2-no-timestamp_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    del bundle["verificationMaterial"]["timestampVerificationData"]
    return Case(bundle)


@case("rekor2-timestamp-payload-mismatch_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    bundle["verificationMaterial"]["timestampVerificationData"] = shop.stamp(b"other")
    return Case(bundle)


@case("rekor2-timestamp-with-incorrect-time_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    late = shop.stamp(signature_of(bundle), LATER)
    for one in late["rfc3161Timestamps"]:  # as `base64` writes it
        text = one["signedTimestamp"]
        one["signedTimestamp"] = "\n".join(text[n : n + 76] for n in range(0, len(text), 76))
    bundle["verificationMaterial"]["timestampVerificationData"] = late
    return Case(bundle)


@case("rekor2-multiple-timestamps-one-outside-cert-validity_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    stamps_of(bundle).extend(shop.stamp(signature_of(bundle), LATER)["rfc3161Timestamps"])
    return Case(bundle)


@case("rekor2-multiple-timestamps")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    stamps_of(bundle).extend(shop.stamp(signature_of(bundle), 1)["rfc3161Timestamps"])
    return Case(bundle)


@case("rekor2-timestamp-outside-trust-root-tsa-validity_fail")
def _(shop: Shop) -> Case:
    authorities = set_period(shop.root["timestampAuthorities"], start=at(-9e6), end=at(-LATER))
    return Case(shop.bundle(*V2), root_of(shop, timestampAuthorities=authorities))


@case("rekor2-timestamp-wrong-tsa-validity-borrow_fail")
def _(shop: Shop) -> Case:
    authorities = set_period(shop.root["timestampAuthorities"], start=at(-9e6), end=at(-LATER))
    empty = {"uri": "https://tsa.test", "certChain": {"certificates": []}}
    authorities.append(empty | {"validFor": {"start": at(-LATER), "end": at(LATER)}})
    return Case(shop.bundle(*V2), root_of(shop, timestampAuthorities=authorities))


class Tsa(NamedTuple):
    """A timestamp authority of two certificates, valid for as long as asked."""

    authority: TimestampAuthority
    root_key: ec.EllipticCurvePrivateKey
    known: tuple[str, ...] = ()

    def until(self, end: datetime) -> Tsa:
        """Return one of the same keys, names and numbers, whose certificates last until `end`.

        It stamps at any time, as one does that has been stolen.
        """
        again = []
        for one in self.authority.chain:
            builder = (
                x509.CertificateBuilder()
                .subject_name(one.subject).issuer_name(one.issuer).public_key(one.public_key())
                .serial_number(one.serial_number)
                .not_valid_before(one.not_valid_before_utc).not_valid_after(end)
            )  # fmt: skip
            for extension in one.extensions:
                builder = builder.add_extension(extension.value, critical=extension.critical)
            again.append(builder.sign(self.root_key, hashes.SHA256()).public_bytes(DER))
        authority = TimestampAuthority(self.authority.key, self.authority.chain)
        vars(authority)["_certificate"] = asn1_x509.Certificate.load(again[0])
        return Tsa(authority, self.root_key, tuple(map(b64, again)))

    @property
    def chain(self) -> tuple[str, ...]:
        return self.known or tuple(b64(one.public_bytes(DER)) for one in self.authority.chain)

    def trusted(self, *chain: str) -> Json:
        certificates = [{"rawBytes": one} for one in chain or self.chain]
        valid = {"start": at(-9e6)}
        return {"uri": "https://tsa.test", "certChain": {"certificates": certificates},
                "validFor": valid}  # fmt: skip

    def stamp(self, signature: bytes, time: float, *, embedded: bool) -> Json:
        imprint = {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": sha256(signature).digest(),
        }
        query = {"version": "v1", "message_imprint": imprint, "cert_req": embedded}
        token = self.authority.respond(tsp.TimeStampReq(query).dump(), time)
        return {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}


def certificate(
    name: str, key: Any, issuer: x509.Certificate | None, by: Any, *extensions: tuple[Any, bool],
    start: float, end: float,
) -> x509.Certificate:  # fmt: skip
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(seconds=start))
        .not_valid_after(now + timedelta(seconds=end))
    )
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for extension, critical in ((signer, False), (own, False), *extensions):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(by, hashes.SHA256())


def tsa(start: float = -9e6, end: float = 9e6) -> Tsa:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = (x509.BasicConstraints(ca=True, path_length=0), True)
    issuing = (pki.key_usage(certificates=True), True)
    stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
    signing = (pki.key_usage(certificates=False), True)
    root = certificate("tsa root", root_key, None, root_key, ca, issuing, start=start, end=end)
    leaf = certificate("tsa", key, root, root_key, signing, stamping, start=start, end=end)
    return Tsa(TimestampAuthority(key, (leaf, root)), root_key)


def stamped_by(made: Tsa, *, embedded: bool, trusted: Callable[[Tsa], Json | None]):
    def make(shop: Shop) -> Case:
        bundle = shop.bundle(*V2, certified=AGO)
        time = datetime.now(UTC).timestamp() + AGO
        bundle["verificationMaterial"]["timestampVerificationData"] = made.stamp(
            signature_of(bundle), time, embedded=embedded
        )
        extra = trusted(made)
        known = [*shop.root["timestampAuthorities"], *([extra] if extra else [])]
        return Case(bundle, root_of(shop, timestampAuthorities=known))

    return make


AGO = -1800  # seconds; when was signed
LASTING, ENDED = tsa(), tsa(end=AGO / 2)
CASES |= {
    "rekor2-timestamp-with-embedded-cert": stamped_by(LASTING, embedded=True, trusted=Tsa.trusted),
    "rekor2-timestamp-without-embedded-cert": stamped_by(
        LASTING, embedded=False, trusted=Tsa.trusted
    ),
    "rekor2-timestamp-with-embedded-cert-root-only": stamped_by(
        LASTING, embedded=True, trusted=lambda one: one.trusted(one.chain[-1])
    ),
    "rekor2-timestamp-with-expired-cert-chain": stamped_by(
        ENDED, embedded=True, trusted=Tsa.trusted
    ),
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": stamped_by(
        LASTING, embedded=True, trusted=lambda _: None
    ),
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": stamped_by(
        LASTING, embedded=False, trusted=lambda _: None
    ),
}


def with_tsa_until(seconds: float) -> Callable[[Shop], Case]:
    made = LASTING.until(datetime.now(UTC) + timedelta(seconds=seconds))
    return stamped_by(made, embedded=False, trusted=Tsa.trusted)


CASES |= {
    "rekor2-timestamp-inside-tsa-cert-validity": with_tsa_until(AGO / 2),
    "rekor2-timestamp-outside-tsa-cert-validity_fail": with_tsa_until(AGO * 2),
}
