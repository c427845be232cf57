# SPDX-License-Identifier: Apache-2.0
"""The clock that dates what is signed, which must not go back."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelseal.errors import Undecided
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from modelseal.instance.state import State

TOLERANCE = 5.0  # seconds that time servers may take back


class SteadyClock:
    """The time of day. It stands still while the system's clock is a little behind what it said."""

    def __init__(self, last: float) -> None:
        self._last = last
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time in seconds since 1970, never less than before.

        Raises:
            Refused: the clock was set back. What is signed then would be older than what it is not.
        """
        now = time.time()
        with self._lock:
            if now < self._last - TOLERANCE:
                raise Refused(503, "clock", "The clock of this instance was set back.")
            self._last = max(now, self._last)
            return self._last


def check(state: State, last: float) -> None:
    """Check that this is a time to sign at; the last certificate was issued at `last`.

    Raises:
        Undecided: outside the lifetime of the certificates, or before `last`.
    """
    now = datetime.now(UTC)
    end = min(ring[-1].chain[0].not_valid_after_utc for ring in (state.keys.ca, state.keys.tsa))
    if not state.start <= now < end:
        raise Undecided(
            "clock",
            "The clock is outside the lifetime of this instance's certificates "
            f"(from {state.start:%Y-%m-%d} to {end:%Y-%m-%d}).",
            "Set the clock; what is signed with a wrong one cannot be verified.",
        )
    if now.timestamp() < last - TOLERANCE:
        raise Undecided(
            "clock",
            f"It is {now:%Y-%m-%d %H:%M:%S} UTC by the clock, but the instance issued a "
            f"certificate at {datetime.fromtimestamp(last, UTC):%Y-%m-%d %H:%M:%S}.",
            "Set the clock; what is signed with a wrong one cannot be verified.",
        )
