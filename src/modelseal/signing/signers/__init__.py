# SPDX-License-Identifier: Apache-2.0
"""Who can sign: each makes bundles of artifacts and of statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from modelseal.trust.signature import HashName

# What a bundle calls the hash of an artifact (`HashAlgorithm` of sigstore_common.proto).
NOTED: dict[HashName, str] = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
WHOLE_LIMIT = 64 * 1024 * 1024  # bytes of a file that is signed whole, which is held in memory


class Signer(Protocol):
    """One signer, keyless or not."""

    @property
    def artifact_hash(self) -> HashName | None:
        """Return the hash by which an artifact is signed, None if its bytes are."""

    def artifact(self, signed: bytes) -> bytes:
        """Return the bundle of an artifact: of its digest by `artifact_hash`, or of its bytes."""

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
