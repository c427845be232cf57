# SPDX-License-Identifier: Apache-2.0
"""Who signed. A module of its own: X.509 takes longer to import than a key takes to verify."""

from __future__ import annotations

from typing import NamedTuple


class Identity(NamedTuple):
    """A keyless signer: subject (e-mail or URI), issuer, further (name, value) claims."""

    subject: str
    issuer: str
    claims: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"
