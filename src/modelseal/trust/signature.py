# SPDX-License-Identifier: Apache-2.0
"""Signatures by the keys that Sigstore clients, logs and authorities use.

Which hash goes with which key stands in one table, after Sigstore's algorithm registry
(sigstore/architecture-docs, algorithm-registry.md).
"""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import rekor
from modelseal.formats import spki as spki_format

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
HashName = rekor.HashName
Padding = Literal["pkcs1v15", "pss"]

HASHES: dict[HashName, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
# The first is what signers use; P-384 and P-521 with SHA-256 is what cosign 2 wrote.
_CURVES: dict[str, tuple[HashName, ...]] = {
    "secp256r1": ("sha256",),
    "secp384r1": ("sha384", "sha256"),
    "secp521r1": ("sha512", "sha256"),
}
_EC: dict[str, ec.EllipticCurve] = {
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "secp521r1": ec.SECP521R1(),
}
_RSA_BITS = range(2048, 8192 + 1)  # a larger key only burns the verifier's time
_SIGNATURE_LIMIT = 1024  # bytes; RSA 8192, the longest


class _Ecdsa(ec.ECDSA):
    """ECDSA to verify with; the constructor of cryptography's imports all ciphers, which is 5 ms.

    It asks them whether signatures can be deterministic, which only those do who sign.
    """

    def __init__(self, algorithm: hashes.HashAlgorithm | utils.Prehashed) -> None:
        self._hash = algorithm

    @property
    def algorithm(self) -> hashes.HashAlgorithm | utils.Prehashed:
        """The hash that was signed with."""
        return self._hash

    @property
    def deterministic_signing(self) -> bool:
        """Whether to sign so, which nobody does with this."""
        return False


class Prehashed(NamedTuple):
    """A message of which only the digest is at hand."""

    algorithm: HashName
    digest: bytes


def load_pem(pem: bytes) -> PublicKey:
    """Return the public key in `pem` (RFC 7468 section 13, SubjectPublicKeyInfo).

    Raises:
        FormatError: not a public key, or of a kind that is not taken.
    """
    return load_der(spki_format.from_pem(pem))


def load_der(der: bytes) -> PublicKey:
    """Return the public key in `der` (SubjectPublicKeyInfo, or PKCS#1 for an RSA key).

    Raises:
        FormatError: as for `load_pem`.
    """
    found = spki_format.parse(der)
    try:
        return accepted(_key(found))
    except (ValueError, UnsupportedAlgorithm) as error:  # a point that is not on the curve
        raise FormatError(
            "bad-key", f"The public key cannot be used: {shown(str(error))}."
        ) from error


def _key(found: spki_format.Key) -> object:
    if found.kind in _EC:
        return ec.EllipticCurvePublicKey.from_encoded_point(_EC[found.kind], found.point)
    if found.kind == "ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(found.point)
    if found.kind == "rsa" and found.modulus.bit_length() in _RSA_BITS:
        return rsa.RSAPublicNumbers(found.exponent, found.modulus).public_key()
    return None  # of a kind that is not taken


def accepted(key: object) -> PublicKey:
    """Return `key` if it is P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits.

    Raises:
        FormatError: any other key.
    """
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS:
        return key
    raise FormatError(
        "unsupported-key",
        "The key is none of P-256, P-384, P-521, Ed25519 and RSA of 2048 to 8192 bits.",
        "Sign with a P-256 key, as every Sigstore client does by default.",
    )


def spki(key: PublicKey) -> bytes:
    """Return the DER SubjectPublicKeyInfo of `key` (RFC 5280 section 4.1)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return spki_format.to_bytes(spki_format.Key("ed25519", key.public_bytes_raw()))
    if isinstance(key, rsa.RSAPublicKey):
        rsa_numbers = key.public_numbers()
        return spki_format.to_bytes(
            spki_format.Key("rsa", modulus=rsa_numbers.n, exponent=rsa_numbers.e)
        )
    numbers, size = key.public_numbers(), (key.key_size + 7) // 8
    point = b"\x04" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")
    return spki_format.to_bytes(spki_format.Key(key.curve.name, point))


def hash_names(key: PublicKey) -> tuple[HashName, ...]:
    """Return the hashes with which `key` may sign, the usual one first.

    Ed25519 has none: it signs messages (RFC 8032 section 5.1).
    """
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES[key.curve.name]
    return () if isinstance(key, ed25519.Ed25519PublicKey) else ("sha256",)


def key_details(key: PublicKey) -> tuple[str, ...]:
    """Return what the algorithm registry calls signatures by `key` (`PublicKeyDetails`)."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return ("PKIX_ED25519",)
    if isinstance(key, rsa.RSAPublicKey):
        return (f"PKIX_RSA_PKCS1V15_{key.key_size}_SHA256",)
    curve = {"secp256r1": "P256", "secp384r1": "P384", "secp521r1": "P521"}[key.curve.name]
    return tuple(f"PKIX_ECDSA_{curve}_SHA_{name[3:]}" for name in hash_names(key))


def check_signature(
    key: PublicKey, signature: bytes, message: bytes | Prehashed, rsa_padding: Padding = "pkcs1v15"
) -> None:
    """Check that `signature` is one of `message` by `key`.

    A whole message is tried with each hash of the key.

    Raises:
        Unverified: it is not ("signature-invalid").
        FormatError: a digest under an Ed25519 key ("unsupported-digest").
    """
    if not signature or len(signature) > _SIGNATURE_LIMIT:
        raise _invalid()
    if isinstance(message, Prehashed):
        _check_digest(key, signature, message, rsa_padding)
    elif isinstance(key, ed25519.Ed25519PublicKey):
        try:
            key.verify(signature, message)
        except InvalidSignature as error:
            raise _invalid() from error
    else:
        _check_any_hash(key, signature, message, rsa_padding)


def hashed(message: bytes, name: HashName) -> Prehashed:
    """Return `message` by its digest."""
    return Prehashed(name, hashlib.new(name, message).digest())


def _check_any_hash(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    signature: bytes,
    message: bytes,
    rsa_padding: Padding,
) -> None:
    for name in hash_names(key):
        try:
            _check_digest(key, signature, hashed(message, name), rsa_padding)
        except Unverified:
            continue
        return
    raise _invalid()


def _check_digest(
    key: PublicKey, signature: bytes, message: Prehashed, rsa_padding: Padding
) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        raise FormatError(
            "unsupported-digest",
            "An Ed25519 key signs the artifact itself, of which only the digest is at hand.",
            "Sign with a P-256 key, as every Sigstore client does by default.",
        )
    algorithm = HASHES[message.algorithm]
    if message.algorithm not in hash_names(key) or len(message.digest) != algorithm.digest_size:
        raise _invalid()
    prehashed = utils.Prehashed(algorithm)
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message.digest, _Ecdsa(prehashed))
        elif rsa_padding == "pss":
            salt = padding.PSS(padding.MGF1(algorithm), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, message.digest, salt, prehashed)
        else:
            key.verify(signature, message.digest, padding.PKCS1v15(), prehashed)
    except InvalidSignature as error:
        raise _invalid() from error


def is_by(key: PublicKey, kind: str, hash_name: str, signature: bytes, message: bytes) -> bool:
    """Return whether `signature` is one of `message` by `key`, with a hash that the signer chose.

    `kind` is what the signer says the key is: "ec", "rsa" (PKCS#1 v1.5) or "ed25519", which has no
    hash but goes with SHA-512 (RFC 8419 section 3).
    """
    algorithm = HASHES[cast("HashName", hash_name)]
    try:
        if kind == "ec" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, message, _Ecdsa(algorithm))
        elif kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, message, padding.PKCS1v15(), algorithm)
        elif kind == "ed25519" and isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return hash_name == "sha512"
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _invalid() -> Unverified:
    return Unverified("signature-invalid", "The signature does not fit what was signed.")
