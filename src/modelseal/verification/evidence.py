# SPDX-License-Identifier: Apache-2.0
"""What logs and timestamp authorities of a trusted root say of a signature."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import Unverified
from modelseal.verification.authentic import Logged
from modelseal.verification.checks import content, log, timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats.bundle import Bundle, LogEntry
    from modelseal.trust.anchors import Anchors, Log
    from modelseal.verification.authentic import TimeSource
    from modelseal.verification.checks.timestamps import TimestampChecker
    from modelseal.verification.vouching import WhenLogged

_STRANGERS = "{} of the timestamps are by authorities that the trusted root does not name"


class Evidence(NamedTuple):
    """When trusted parties saw a signature (UTC, earliest first), and its entry in a log.

    `time_source` says who vouches for the earliest time.

    `entry` is None where no log is asked for. Whether it is in the log is yet to be checked.
    """

    times: tuple[datetime, ...]
    entry: LogEntry | None
    logs: tuple[Log, ...]
    notes: tuple[str, ...]
    time_source: TimeSource = ""

    @property
    def claimed_times(self) -> tuple[datetime, ...]:
        """Return `times` and what the entry says, which nobody signed where there is no promise.

        An honest entry never contradicts the certificate.
        """
        taken = self.entry and timestamps.integrated(self.entry)
        return self.times if taken is None else (*self.times, taken)

    def check_logged(self) -> Logged | None:
        """Return the entry, having checked that it is in a log that was trusted then.

        Raises:
            FormatError, Unverified: see `log.check_inclusion` and `log.check_period`.
        """
        if self.entry is None:
            return None
        log.check_inclusion(self.entry, self.logs)
        log.check_period(self.entry, self.logs, self.times)
        return Logged(self.entry.log_index, self.entry.log_id)


def gather(
    bundle: Bundle, anchors: Anchors, stamps: TimestampChecker, source: str, *, logged: WhenLogged
) -> Evidence:
    """Return what holds of the timestamps and the promise in `bundle`.

    `logged` says when there must be an entry of a log that the root, from `source`, names.

    Raises:
        FormatError, Unverified: the first check that fails.
    """
    entry: LogEntry | None = None
    logs: tuple[Log, ...] = ()
    if logged == "always" or (logged == "if-named" and anchors.logs):
        if len(bundle.entries) != 1:
            raise Unverified(
                "not-logged",
                "The trusted root names a transparency log, and the bundle has no entry of one.",
                "Sign with --log; or say of a key or a CA that its signatures are in no log: "
                "--not-logged, in a policy logged = false",
            )
        (entry,) = bundle.entries
        logs = log.of_entry(entry, anchors.logs, source)
        log.check_promise(entry, logs)
    found = stamps.check(bundle.timestamps, content.signature_of(bundle))
    times: list[tuple[datetime, TimeSource]] = [(time, "timestamp") for time in found.times]
    strange = found.strangers and anchors.timestamp_authorities
    notes = (_STRANGERS.format(found.strangers),) if strange else ()
    if entry is not None and entry.promise is not None:
        taken = timestamps.integrated(entry)
        times += [(taken, "log")] if taken is not None else []
    times.sort()
    source_of_time = times[0][1] if times else ""
    return Evidence(tuple(time for time, _ in times), entry, logs, notes, source_of_time)
