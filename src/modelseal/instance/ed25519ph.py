# SPDX-License-Identifier: Apache-2.0
"""Ed25519ph verification (RFC 8032 section 5.1), which `cryptography` does not offer.

A log that is shown only the digest of an artifact cannot check plain Ed25519, so Sigstore's Ed25519
clients use this variant.
"""

from __future__ import annotations

from Crypto.Hash.SHA512 import SHA512Hash
from Crypto.Signature import eddsa

DIGEST_SIZE = 64


class _Known(SHA512Hash):
    """A SHA-512 of which only the result is known; the library wants the object that hashed."""

    def __init__(self, digest: bytes) -> None:
        super().__init__(None, None)
        self._known = digest

    def digest(self) -> bytes:
        return self._known


def is_signature(public_key: bytes, signature: bytes, digest: bytes) -> bool:
    """Return whether `signature` is one of the message with SHA-512 `digest` (section 5.1.7)."""
    if len(digest) != DIGEST_SIZE:
        return False
    try:
        eddsa.new(eddsa.import_public_key(public_key), "rfc8032").verify(_Known(digest), signature)
    except ValueError:
        return False
    return True
