# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates in PEM files (RFC 7468), and how OMS names a key."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal import files, outputs
from modelseal.errors import FormatError, UsageError, shown
from modelseal.formats import spki
from modelseal.trust import key_files, signature

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509

    from modelseal.trust.signature import PublicKey

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

LIMIT = 256 * 1024  # bytes of a PEM file
_MAX_CERTIFICATES = 16

CURVES: dict[str, ec.EllipticCurve] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
}
RSA_BITS = (2048, 3072, 4096)  # the sizes of the algorithm registry, which logs take
KINDS = (*CURVES, "ed25519", *(f"rsa{bits}" for bits in RSA_BITS))


def load_private(path: Path, password: bytes | None = None) -> PrivateKey:
    """Return the private key in the PEM file `path`, decrypted with `password`.

    Raises:
        UsageError: missing, or the password is missing, wrong or not needed ("key-password").
        FormatError: no usable key. Undecided: unreadable.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - 10 ms, to sign only

    pem = files.read_trusted(path, LIMIT, "private key")
    try:
        key = serialization.load_pem_private_key(pem, password)
    except TypeError as error:  # there is one and it is not needed, or the other way round
        raise _password_mismatch(path, password) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unusable(path, pem, password) from error
    try:
        signature.accepted(key.public_key())
    except FormatError as error:
        raise _unsupported(path, key) from error
    if not isinstance(key, PrivateKey):  # unreachable: the public key was accepted
        raise _unsupported(path, key)
    return key


def _password_mismatch(path: Path, password: bytes | None) -> UsageError:
    name = shown(str(path))
    if password is None:
        message = f"'{name}' is encrypted, and no password was given."
        hint = "Put the password into an environment variable: --password-env NAME"
    else:
        message = f"'{name}' is not encrypted, and a password was given."
        hint = "Leave out --password-env."
    return UsageError("key-password", message, hint)


def _unusable(path: Path, pem: bytes, password: bytes | None) -> UsageError | FormatError:
    if not key_files.is_private(pem):
        return key_files.refusal(path, pem, "private key")
    if not key_files.is_encrypted(pem):
        return key_files.damaged(path)
    if refused := key_files.unsupported_cipher(path, pem):
        return refused
    if password is None:
        return key_files.damaged(path)
    message = f"The password for '{shown(str(path))}' is wrong."
    return UsageError("key-password", message, "Check the variable that --password-env names.")


def _unsupported(path: Path, key: object) -> FormatError:
    kind = type(key).__name__.removesuffix("PrivateKey")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        kind = f"elliptic curve {key.curve.name}"
    elif isinstance(key, rsa.RSAPrivateKey):
        kind = f"RSA of {key.key_size} bits"
    return FormatError(
        "unsupported-key",
        f"The key in '{shown(str(path))}' ({kind}) is none of P-256, P-384, P-521, Ed25519 and RSA "
        "of 2048 to 8192 bits.",
        "Make one with: modelseal key generate",
    )


def password_from(variable: str | None) -> bytes | None:
    """Return the password in the environment variable of that name, None if there is no name.

    Raises:
        UsageError: the variable is not set, or empty ("key-password").
    """
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        state = "is empty" if value == "" else "is not set"
        message = f"The environment variable '{shown(variable)}' {state}."
        raise UsageError("key-password", message, "Export it with the password.")
    return os.fsencode(value)  # as it was given, UTF-8 or not


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
        raise key_files.refusal(path, pem, "public key") from error


def load_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Return the certificates in the PEM file `path`, in their order.

    Raises:
        UsageError, FormatError, Undecided: missing, no certificates, unreadable.
    """
    pem = files.read_trusted(path, LIMIT, "certificate")
    if b"-----BEGIN CERTIFICATE-----" not in pem and b"-----BEGIN X509 CERT" not in pem:
        raise key_files.refusal(path, pem, "certificate")
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


def generate(
    private: Path, kind: str, password: bytes | None = None, *, overwrite: bool = False
) -> Path:
    """Write a new private key to `private` (mode 0600, PKCS#8); return where the public is.

    `kind` is one of `KINDS`.

    Raises:
        UsageError: one is there already. Undecided: cannot write.
    """
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    public = private.with_suffix(".pub")
    with (
        outputs.reserved(private, overwrite=overwrite, mode=0o600) as private_output,
        outputs.reserved(public, overwrite=overwrite) as public_output,
    ):
        key = _new(kind)
        secret = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password)
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret
        )
        private_output.write(pem)
        public_output.write(public_pem(key.public_key()))
    return public


def _new(kind: str) -> PrivateKey:
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind])
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa")))
