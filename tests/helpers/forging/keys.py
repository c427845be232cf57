# SPDX-License-Identifier: Apache-2.0
"""Private keys by name, and what they sign."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

CURVES = {"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}
HASHES = {"P256": "sha256", "P384": "sha384", "P521": "sha512", "RSA": "sha256", "Ed25519": ""}
DETAILS = {
    "P256": "PKIX_ECDSA_P256_SHA_256",
    "P384": "PKIX_ECDSA_P384_SHA_384",
    "P521": "PKIX_ECDSA_P521_SHA_512",
    "RSA": "PKIX_RSA_PKCS1V15_2048_SHA256",
    "Ed25519": "PKIX_ED25519",
}
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@cache
def key(kind: str, name: str) -> PrivateKey:
    """Return the key of that kind which `name` holds: always the same, but for RSA."""
    secret = sha256(f"{kind} {name}".encode()).digest()
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return ec.derive_private_key(int.from_bytes(secret[:-1]), CURVES[kind])


def spki(private: PrivateKey) -> bytes:
    return private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def sign(private: PrivateKey, message: bytes, algorithm: str = "sha256") -> bytes:
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private.sign(message)
    chosen = getattr(hashes, algorithm.upper())()
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(message, padding.PKCS1v15(), chosen)
    return private.sign(message, ec.ECDSA(chosen, deterministic_signing=True))
