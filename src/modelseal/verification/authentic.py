# SPDX-License-Identifier: Apache-2.0
"""What the verifier says of a bundle that holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats import oms
    from modelseal.trust.signer import Signer

Kind = Literal["oms", "artifact"]
TimeSource = Literal["", "timestamp", "log"]


class Logged(NamedTuple):
    """An entry of a transparency log, whose inclusion was checked."""

    log_index: int
    log_id: bytes


class Authentic(NamedTuple):
    """`signer` signed `manifest`; says nothing about whether that is acceptable.

    Every field was vouched for by a check. `times` are when trusted parties saw the signature
    (UTC), earliest first, and `time_source` is who vouches for the earliest; `logged` is None
    unless the log entry was checked. `until` is when the signature stops verifying: the end of a
    certificate whose use no trusted time vouches for. `notes` tell people what is unusual about a
    signature that holds. `bundle` is the name of the bundle's file. For an artifact the manifest
    has one resource, named `oms.SINGLE_FILE`.
    """

    signer: Signer
    kind: Kind
    manifest: oms.Manifest
    times: tuple[datetime, ...]
    logged: Logged | None
    trust: str
    until: datetime | None = None
    notes: tuple[str, ...] = ()
    bundle: str = ""
    time_source: TimeSource = ""

    @property
    def time(self) -> datetime | None:
        """Return the earliest trusted time, None if there is none."""
        return self.times[0] if self.times else None
