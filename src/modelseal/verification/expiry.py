# SPDX-License-Identifier: Apache-2.0
"""When a signature stops verifying, as far as its bundle tells: nothing is checked here."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.trust import fulcio

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats.bundle import Bundle


class Expiry(NamedTuple):
    """When a signature stops verifying, None if it does not by itself; and why, for people."""

    until: datetime | None
    reason: str


def expiry(bundle: Bundle) -> Expiry:
    """Return when the signature in `bundle` stops verifying, if all in it is what it claims to be.

    A certificate need only be valid when it was used (RFC 5280 section 4.1.2.5), so a time that
    somebody trusted vouches for keeps the signature for ever. Whether they are trusted, the trust
    root of the verifier says.
    """
    if not bundle.certificates:
        return Expiry(None, "it is by a key, which has no end")
    if bundle.timestamps:
        return Expiry(None, "a timestamp says when it was signed, if its authority is trusted")
    if any(entry.promise and entry.integrated_time for entry in bundle.entries):
        return Expiry(None, "a log says when it was signed, if that log is trusted")
    try:
        ends = [fulcio.load(raw).not_valid_after_utc for raw in bundle.certificates]
    except fulcio.UNREADABLE:
        return Expiry(None, "a certificate cannot be read")
    return Expiry(min(ends), "a certificate ends then, and nothing says when it was used")
