# SPDX-License-Identifier: Apache-2.0
"""What a certificate says, as plain JSON values: nothing is checked here."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from modelseal.trust import fulcio

if TYPE_CHECKING:
    from cryptography import x509

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def of(raw: bytes) -> dict[str, Any]:
    """Return what the certificate `raw` (DER) says, or just its fingerprint if it is unreadable."""
    fingerprint = sha256(raw).hexdigest()
    try:
        certificate = fulcio.load(raw)
        return {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "serial": f"{certificate.serial_number:x}",
            "not_before": certificate.not_valid_before_utc.isoformat(),
            "not_after": certificate.not_valid_after_utc.isoformat(),
            "key": _key(certificate),
            "sha256": fingerprint,
        }
    except fulcio.UNREADABLE:
        return {"unreadable": True, "sha256": fingerprint}


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return f"unknown ({certificate.public_key_algorithm_oid.dotted_string})"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {_CURVES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    names = {ed25519.Ed25519PublicKey: "Ed25519", ed448.Ed448PublicKey: "Ed448"}
    return next((name for kind, name in names.items() if isinstance(key, kind)), "unknown")
