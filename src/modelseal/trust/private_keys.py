# SPDX-License-Identifier: Apache-2.0
"""Private keys: made, and read from PEM files (RFC 7468)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal import files, outputs
from modelseal.errors import FormatError, UsageError, shown
from modelseal.trust import key_ciphers, key_files, signature
from modelseal.trust.keys import LIMIT, public_pem

if TYPE_CHECKING:
    from pathlib import Path

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

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
    if not key_ciphers.is_encrypted(pem):
        return key_files.damaged(path)
    if refused := key_ciphers.unsupported_cipher(path, pem):
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


def generate(
    private: Path, kind: str, password: bytes | None = None, *, overwrite: bool = False
) -> Path:
    """Write a new private key to `private` (mode 0600, PKCS#8); return where the public is.

    `kind` is one of `KINDS`.

    Raises:
        UsageError: one is there already, or both have one name. Undecided: cannot write.
    """
    public = private.with_suffix(".pub")
    if public == private:
        message = f"'{shown(str(private))}' is where the public key goes."
        hint = "Give the private key another name, such as release.key."
        raise UsageError("named-twice", message, hint)
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
