# SPDX-License-Identifier: Apache-2.0
"""Who can sign: each makes bundles of digests and of statements."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """One signer, keyless or not."""

    def artifact(self, digest: bytes) -> bytes:
        """Return the bundle of an artifact with this SHA-256."""

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
