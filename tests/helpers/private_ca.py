# SPDX-License-Identifier: Apache-2.0
"""Certificates of a CA of one's own, good and bad."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
VALID, PAST, FUTURE = (NOW - DAY, NOW + DAY), (NOW - 9 * DAY, NOW - 8 * DAY), (
    NOW + 8 * DAY, NOW + 9 * DAY,
)  # fmt: skip
CODE, TIME, TLS = (
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.SERVER_AUTH,
)
SIGNING, ISSUING = "digital_signature", "key_cert_sign"


@dataclass(frozen=True)
class Kind:
    """What a certificate says; None leaves the extension out."""

    name: str
    ca: bool | None = True
    usage: str | None = ISSUING
    purpose: x509.ObjectIdentifier | None = None
    length: int | None = None
    period: tuple[datetime, datetime] = VALID
    identifiers: bool = True
    curve: ec.EllipticCurve = field(default_factory=ec.SECP384R1)
    rsa: bool = False
    extension: x509.ExtensionType | None = None


@dataclass(frozen=True)
class Holder:
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Return PEM files of key and certificate."""
        private, certificate = folder / "leaf.key", folder / "leaf.pem"
        private.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        certificate.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return private, certificate


def leaf(**changed) -> Kind:
    return Kind(**{"name": "leaf", "ca": False, "usage": SIGNING, "purpose": CODE, **changed})


def issued(kind: Kind, issuer: Holder | None) -> Holder:
    key = rsa.generate_private_key(65537, 2048) if kind.rsa else ec.generate_private_key(kind.curve)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, kind.name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(kind.period[0])
        .not_valid_after(kind.period[1])
    )
    for extension, critical in extensions(kind, key.public_key(), issuer):
        builder = builder.add_extension(extension, critical=critical)
    return Holder(key, builder.sign(issuer.key if issuer else key, hashes.SHA384()))


def extensions(kind: Kind, public, issuer: Holder | None):
    if kind.ca is not None:
        yield x509.BasicConstraints(ca=kind.ca, path_length=kind.length), True
    if kind.usage is not None:
        bits = (SIGNING, ISSUING, "content_commitment", "key_encipherment", "data_encipherment",
                "key_agreement", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip
        yield x509.KeyUsage(**{bit: bit == kind.usage for bit in bits}), True
    if kind.purpose is not None:
        yield x509.ExtendedKeyUsage([kind.purpose]), False
    if kind.identifiers:
        yield x509.SubjectKeyIdentifier.from_public_key(public), False
    if kind.identifiers and issuer:
        above = issuer.key.public_key()
        yield x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False
    if kind.extension is not None:
        yield kind.extension, True


def chain(*kinds: Kind) -> list[Holder]:
    """Return the holders from the leaf to the root."""
    made: list[Holder] = []
    for kind in kinds:
        made.insert(0, issued(kind, made[0] if made else None))
    return made
