# SPDX-License-Identifier: Apache-2.0
"""Who can sign: each makes bundles of artifacts and of statements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.trust.signature import HashName
    from modelseal.verification.authentic import Kind

# What a bundle calls the hash of an artifact (`HashAlgorithm` of sigstore_common.proto).
NOTED: dict[HashName, str] = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
WHOLE_LIMIT = 64 * 1024 * 1024  # bytes of a file that is signed whole, which is held in memory


class Signer(Protocol):
    """One signer, keyless or not."""

    def check(self, kinds: Iterable[Kind], *, certificate: bool = False) -> None:
        """Check, before anything is public, that models of all `kinds` can be signed.

        Raises:
            UsageError: a `certificate` is wanted and there is none. FormatError: a kind of key that
                does not sign one of them.
        """

    @property
    def artifact_hash(self) -> HashName | None:
        """Return the hash by which an artifact is signed, None if its bytes are."""

    def artifact(self, signed: bytes) -> bytes:
        """Return the bundle of an artifact: of its digest by `artifact_hash`, or of its bytes."""

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
