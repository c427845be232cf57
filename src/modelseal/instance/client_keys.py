# SPDX-License-Identifier: Apache-2.0
"""Public keys of clients: which are taken, what Sigstore calls them, how they sign.

Names and pairs of algorithms are those of Sigstore's algorithm registry (`PublicKeyDetails`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from modelseal.errors import FormatError, shown
from modelseal.instance.ed25519ph import is_signature

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
Scheme = Literal["ecdsa", "ed25519", "ed25519ph", "rsa-pkcs1", "rsa-pss"]

_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("PKIX_ECDSA_P256_SHA_256", hashes.SHA256()),
    "secp384r1": ("PKIX_ECDSA_P384_SHA_384", hashes.SHA384()),
    "secp521r1": ("PKIX_ECDSA_P521_SHA_512", hashes.SHA512()),
}
_RSA_SIZES = (2048, 3072, 4096)


@dataclass(frozen=True)
class Algorithm:
    """How a key signs; `digest` is None when the message itself is signed (Ed25519)."""

    scheme: Scheme
    digest: hashes.HashAlgorithm | None


def load_pem(pem: bytes) -> PublicKey:
    """Return the public key in `pem`.

    Raises:
        FormatError: not a public key, or of a kind that is not taken.
    """
    try:
        return accepted(serialization.load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(error) from error


def load_der(der: bytes) -> PublicKey:
    """Return the public key in the SubjectPublicKeyInfo `der`.

    Raises:
        FormatError: as for `load_pem`.
    """
    try:
        return accepted(serialization.load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(error) from error


def load_certificate(der: bytes) -> PublicKey:
    """Return the public key of the certificate `der`, of which nothing else is looked at.

    Raises:
        FormatError: as for `load_pem`.
    """
    try:
        return accepted(x509.load_der_x509_certificate(der).public_key())
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _unreadable(error) from error


def accepted(key: object) -> PublicKey:
    """Return `key` if it is P-256, P-384, P-521, Ed25519, or RSA of 2048, 3072 or 4096 bits.

    Raises:
        FormatError: any other key.
    """
    ok = (
        (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
        or isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_SIZES)
    )
    if not ok:
        raise FormatError(
            "bad-key", "The key is none of P-256, P-384, P-521, Ed25519, RSA 2048, 3072, 4096."
        )
    return key  # type: ignore[return-value]  # just checked


def algorithms(key: PublicKey) -> dict[str, Algorithm]:
    """Return the ways in which `key` may sign, by their `keyDetails` name; the usual one first."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        name, digest = _CURVES[key.curve.name]
        return {name: Algorithm("ecdsa", digest)}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return {
            "PKIX_ED25519": Algorithm("ed25519", None),
            "PKIX_ED25519_PH": Algorithm("ed25519ph", hashes.SHA512()),
        }
    return {
        f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256": Algorithm("rsa-pkcs1", hashes.SHA256()),
        f"PKIX_RSA_PSS_{key.key_size}_SHA256": Algorithm("rsa-pss", hashes.SHA256()),
    }


def verify_message(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Check a signature of `message` in the usual way of `key`.

    Raises:
        InvalidSignature: it is none.
    """
    algorithm = next(iter(algorithms(key).values()))
    verify(key, algorithm, signature, message)


def verify(key: PublicKey, algorithm: Algorithm, signature: bytes, message: bytes) -> None:
    """Check a signature of `message` made with `algorithm`.

    Raises:
        InvalidSignature: it is none.
    """
    if algorithm.digest is None:
        assert isinstance(key, ed25519.Ed25519PublicKey)  # noqa: S101 - from `algorithms(key)`
        key.verify(signature, message)
        return
    hasher = hashes.Hash(algorithm.digest)
    hasher.update(message)
    verify_digest(key, algorithm, signature, hasher.finalize())


def verify_digest(key: PublicKey, algorithm: Algorithm, signature: bytes, digest: bytes) -> None:
    """Check a signature of the message that has `digest`.

    Raises:
        InvalidSignature: it is none.
    """
    assert algorithm.digest is not None  # noqa: S101 - callers refuse message-only algorithms
    prehashed = utils.Prehashed(algorithm.digest)
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(prehashed))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, _padding(algorithm), prehashed)
    elif not is_signature(key.public_bytes_raw(), signature, digest):
        raise InvalidSignature


def _padding(algorithm: Algorithm) -> padding.AsymmetricPadding:
    if algorithm.scheme == "rsa-pkcs1":
        return padding.PKCS1v15()
    assert algorithm.digest is not None  # noqa: S101 - RSA always signs a digest
    return padding.PSS(padding.MGF1(algorithm.digest), padding.PSS.AUTO)


def _unreadable(error: Exception) -> FormatError:
    return FormatError("bad-key", f"The key or certificate cannot be read: {shown(str(error))}.")
