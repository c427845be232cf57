# SPDX-License-Identifier: Apache-2.0
"""The certificates an instance is born with: CA root and intermediate, timestamp root and signer.

Their shape is what the strictest of the stock clients asks for (RFC 5280; RFC 3161 section 2.3).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_LIFETIME = timedelta(days=3650)


def issue_chain(
    name: str, signer_key: ec.EllipticCurvePublicKey, root_key: ec.EllipticCurvePrivateKey,
    start: datetime, *, usage: x509.ObjectIdentifier, is_ca: bool,
) -> tuple[x509.Certificate, x509.Certificate]:  # fmt: skip
    """Return (certificate of `signer_key`, self-signed root), valid ten years from `start`."""
    root_name = _name(name, "root")
    root = (
        _builder(root_name, root_name, root_key.public_key(), root_key.public_key(), start)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(key_usage(certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    role = "intermediate" if is_ca else "signer"
    signer = (
        _builder(_name(name, role), root_name, signer_key, root_key.public_key(), start)
        .add_extension(
            x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True
        )
        .add_extension(key_usage(certificates=is_ca), critical=True)
        # Critical for the timestamp signer (RFC 3161 section 2.3); a CA may not mark it so.
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=not is_ca)
        .sign(root_key, hashes.SHA256())
    )
    return signer, root


def ca_chain(
    intermediate: ec.EllipticCurvePublicKey, root: ec.EllipticCurvePrivateKey, start: datetime,
    number: int = 1,
) -> tuple[x509.Certificate, x509.Certificate]:  # fmt: skip
    """Return (intermediate, root) number `number` of the certificate authority."""
    usage, name = ExtendedKeyUsageOID.CODE_SIGNING, _numbered("modelseal CA", number)
    return issue_chain(name, intermediate, root, start, usage=usage, is_ca=True)


def tsa_chain(
    signer: ec.EllipticCurvePublicKey, root: ec.EllipticCurvePrivateKey, start: datetime,
    number: int = 1,
) -> tuple[x509.Certificate, x509.Certificate]:  # fmt: skip
    """Return (signer, root) number `number` of the timestamp authority."""
    usage, name = ExtendedKeyUsageOID.TIME_STAMPING, _numbered("modelseal timestamps", number)
    return issue_chain(name, signer, root, start, usage=usage, is_ca=False)


def _numbered(name: str, number: int) -> str:
    """Return a name of its own for each rotation: verifiers find issuers by name."""
    return name if number == 1 else f"{name} {number}"


def key_usage(*, certificates: bool) -> x509.KeyUsage:
    """Return the key usage of a CA, or of a key that signs anything else."""
    return x509.KeyUsage(
        digital_signature=not certificates, key_cert_sign=certificates, crl_sign=certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(organization: str, role: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organization} {role}"),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey, start: datetime,
) -> x509.CertificateBuilder:  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )
