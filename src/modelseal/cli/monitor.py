# SPDX-License-Identifier: Apache-2.0
"""`modelseal monitor`: watch a transparency log."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._options import add_trust, trust_of
from modelseal.cli._run import ACCEPTED, REFUSED, UNDECIDED, answer, flush
from modelseal.errors import Undecided, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelseal.cli._options import Options, Parser
    from modelseal.monitor.memory import Memory
    from modelseal.monitor.watch import Look, Watch

HELP = """\
Watch a transparency log: that it only grows, and who signs.

What is found is printed as JSON lines. `identity-used` and `unknown-certificate` are entries;
`log-shrunk`, `log-forked`, `log-rewritten`, `log-frozen` and `log-invalid` say that the log is not
what it was. Exit code 1 for these, 3 when the log cannot be read, otherwise 0.

Examples:
  modelseal monitor --instance https://sigstore.example --identity '*@example.com' --state log.json
  modelseal monitor --trusted-root root.json --log https://log.example --interval 60
"""

_MAX_SECONDS = 86_400
_MAX_HOURS = 24 * 365


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument(
        "--identity", dest="identities", action="append", default=[], metavar="GLOB",
        help="Report the use of identities like this, as alice@example.com or *@example.com.",
    )  # fmt: skip
    parser.add_argument(
        "--log", metavar="URL",
        help="Where the log has its checkpoint and its tiles. [default: the instance]",
    )  # fmt: skip
    parser.add_argument(
        "--state", type=Path, metavar="F", help="Remember in this file what was seen."
    )
    parser.add_argument(
        "--from-now", action="store_true",
        help="At the first look, pass over what is in the log already.",
    )  # fmt: skip
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--once", action="store_true", help="Look once. [default]")
    often.add_argument(
        "--interval", type=_number(_MAX_SECONDS), metavar="SECONDS",
        help="Look again and again, until it is stopped.",
    )  # fmt: skip
    parser.add_argument(
        "--max-silence", type=_number(_MAX_HOURS), metavar="HOURS",
        help="Report a log that has not grown for so long.",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", type=Path, metavar="F",
        help="Write metrics to this file, for the textfile collector of Prometheus.",
    )  # fmt: skip
    add_trust(parser)


def _number(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {most}")
        return int(text)

    return parse


def run(options: Options) -> int:
    """Watch the log; return the exit code."""
    from datetime import timedelta

    from modelseal.monitor import memory as memories
    from modelseal.monitor.log_client import LogClient
    from modelseal.monitor.watch import Wanted, Watch
    from modelseal.trust import anchors

    url = options.log or options.instance
    if url is None:
        raise UsageError(
            "bad-options", "Nothing says where the log is.", "Give --log URL, or --instance URL."
        )
    if options.from_now and options.state is None and options.interval is None:
        raise UsageError(
            "bad-options", "A single look that passes over everything sees nothing.",
            "Give --state F as well, or --interval.",
        )  # fmt: skip
    hours = options.max_silence
    wanted = Wanted(
        tuple(options.identities), None if hours is None else timedelta(hours=hours),
        options.from_now,
    )  # fmt: skip
    watch = Watch(LogClient(url), anchors.load(trust_of(options).resolve()), wanted)
    memory = None if options.state is None else memories.load(options.state)
    monitor = _Monitor(watch, memory, options.state, options.metrics)
    if options.interval is None:
        return monitor.look()
    return monitor.keep_looking(options.interval)


class _Monitor:
    def __init__(
        self, watch: Watch, memory: Memory | None, state: Path | None, metrics: Path | None
    ) -> None:
        self._watch, self._memory = watch, memory
        self._state, self._metrics = state, metrics
        self._counts: dict[str, int] = {}

    def look(self) -> int:
        """Look once, print what was found, remember it; return the exit code."""
        from datetime import UTC, datetime

        from modelseal.monitor import memory

        now = datetime.now(UTC)
        found = self._watch.look(self._memory, now)
        for one in found.findings:
            self._print(one, now)
        flush()
        self._memory = found.memory
        if self._state is not None and found.memory is not None and not found.fault:
            memory.save(self._state, found.memory)
        self._write_metrics(found, now)
        return REFUSED if found.fault else ACCEPTED

    def keep_looking(self, seconds: int) -> int:
        """Look every so many seconds until a signal says to stop; return the worst exit code."""
        import signal
        import threading

        stopped = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        code = ACCEPTED
        while True:
            code = _worse(code, self._look_or_say())
            if stopped.wait(seconds):
                return code

    def _look_or_say(self) -> int:
        from datetime import UTC, datetime

        try:
            return self.look()
        except Undecided as error:
            self._print({"event": error.code, "message": error.message}, datetime.now(UTC))
            flush()
            return UNDECIDED

    def _print(self, finding: dict[str, object], now: datetime) -> None:
        event = str(finding["event"])
        self._counts[event] = self._counts.get(event, 0) + 1
        answer(json.dumps({"time": f"{now:%Y-%m-%dT%H:%M:%SZ}", **finding}))

    def _write_metrics(self, found: Look, now: datetime) -> None:
        if self._metrics is None:
            return
        from modelseal import outputs

        lines = [
            "# TYPE modelseal_monitor_log_entries gauge",
            f"modelseal_monitor_log_entries {found.size}",
            "# TYPE modelseal_monitor_last_look_seconds gauge",
            f"modelseal_monitor_last_look_seconds {now.timestamp():.0f}",
            "# TYPE modelseal_monitor_fault gauge",
            f"modelseal_monitor_fault {int(found.fault)}",
            "# TYPE modelseal_monitor_findings_total counter",
            *(
                f'modelseal_monitor_findings_total{{event="{event}"}} {count}'
                for event, count in sorted(self._counts.items())
            ),
        ]
        outputs.write(self._metrics, ("\n".join(lines) + "\n").encode())


def _worse(one: int, other: int) -> int:
    """Return the exit code that says more: a fault, then what could not be read."""
    return next((code for code in (REFUSED, UNDECIDED) if code in {one, other}), ACCEPTED)
