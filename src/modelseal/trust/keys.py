# SPDX-License-Identifier: Apache-2.0
"""Public keys and certificates in PEM files (RFC 7468), and how OMS names a key."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from modelseal import files
from modelseal.errors import FormatError, shown
from modelseal.formats import spki
from modelseal.trust import signature

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from modelseal.trust.key_files import Wanted
    from modelseal.trust.signature import PublicKey

LIMIT = 256 * 1024  # bytes of a PEM file
_MAX_CERTIFICATES = 16


def load_public(path: Path) -> PublicKey:
    """Return the public key in the PEM file `path`.

    Raises:
        UsageError, FormatError, Undecided: missing, no usable key, unreadable.
    """
    pem = files.read_trusted(path, LIMIT, "public key")
    try:
        return signature.load_pem(pem)
    except FormatError as error:
        if spki.has_pem(pem):
            message = f"The public key in '{shown(str(path))}' cannot be used: {error.message}"
            raise FormatError(error.code, message, error.hint) from error
        raise _refusal(path, pem, "public key") from error


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates in the PEM file `path`, in their order.

    Raises:
        UsageError, FormatError, Undecided: missing, no certificates, unreadable.
    """
    pem = files.read_trusted(path, LIMIT, "certificate")
    if b"-----BEGIN CERTIFICATE-----" not in pem and b"-----BEGIN X509 CERT" not in pem:
        raise _refusal(path, pem, "certificate")
    return parse_certificates(pem, f"'{shown(str(path))}'")


def parse_certificates(pem: bytes, name: str = "The PEM text") -> tuple[x509.Certificate, ...]:
    """Return the certificates in `pem`, in their order; `name` is for errors.

    Raises:
        FormatError: there is none, one is damaged, or there are too many.
    """
    from cryptography import x509  # noqa: PLC0415 - 20 ms that a key need not pay

    try:
        found = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        state = "a damaged" if b"-----BEGIN CERTIFICATE" in pem else "no"
        raise FormatError("bad-certificate", f"{name} has {state} certificate.") from error
    if len(found) > _MAX_CERTIFICATES:
        raise FormatError("too-many", f"{name} has too many certificates.")
    return found


def hints(key: PublicKey) -> tuple[str, str]:
    """Return how a bundle may name `key`, in hex: SHA-256 of its PEM text (OMS), or of its DER."""
    pem, der = hashlib.sha256(public_pem(key)), hashlib.sha256(signature.spki(key))
    return pem.hexdigest(), der.hexdigest()


def public_pem(key: PublicKey) -> bytes:
    """Return `key` as PEM SubjectPublicKeyInfo, with a final newline."""
    return spki.to_pem(spki.PUBLIC_KEY, signature.spki(key))


def _refusal(path: Path, pem: bytes, wanted: Wanted) -> FormatError:
    from modelseal.trust import key_files  # noqa: PLC0415 - only for a file that is refused

    return key_files.refusal(path, pem, wanted)
