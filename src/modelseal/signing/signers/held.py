# SPDX-License-Identifier: Apache-2.0
"""Keys that sign where they are held, in a token or with a service, and never come here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from modelseal.errors import ModelSealError, Undecided
from modelseal.trust import signature

if TYPE_CHECKING:
    from modelseal.trust.signature import HashName, PublicKey


class HeldKey(Protocol):
    """A private key that is held elsewhere; what it signs is checked, not believed."""

    def public_key(self) -> PublicKey:
        """Return the public key."""

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        """Return the signature of a digest: ECDSA in DER (RFC 3279), or RSA PKCS#1 v1.5.

        Raises:
            UsageError, Undecided: the key is not to be had, or does not sign.
        """


def sign(key: HeldKey, hash_name: HashName, digest: bytes) -> bytes:
    """Return the signature by `key` of a digest, having verified it.

    Raises:
        UsageError, Undecided: as `HeldKey.sign_digest`.
        Undecided: what came does not verify ("signer-failed").
    """
    made = key.sign_digest(hash_name, digest)
    try:
        signature.check_signature(key.public_key(), made, signature.Prehashed(hash_name, digest))
    except ModelSealError as error:
        raise Undecided(
            "signer-failed",
            "What the token or service signed does not verify with its own public key.",
            "Check that the public key beside the private one is that of the same pair.",
        ) from error
    return made
