# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a row of the table, alternating runs, a private instance."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path(sys.executable).parent
PEERS = Path(os.environ.get("MODELSEAL_PEERS") or Path.home() / ".cache" / "modelseal-peers")
MIB = 1024**2
ALICE = "alice@example.com"


@dataclass(frozen=True)
class Sizes:
    """How much a run may take."""

    largest: int  # bytes of a file
    most_files: int
    models: int


@dataclass(frozen=True)
class Row:
    """A line of the table; `limit` is what the machine would take for the same work."""

    what: str
    ours: float
    peer: float
    goal: float | None = None  # the highest ratio that meets the goal
    unit: str = "ms"
    limit: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.peer

    @property
    def met(self) -> bool:
        return self.goal is None or self.ratio <= self.goal

    def cells(self) -> tuple[str, ...]:
        goal = "" if self.goal is None else f"<= {self.goal:g}"
        figures = (self._text(value) for value in (self.ours, self.peer, self.limit))
        return (self.what, *figures, f"{self.ratio:.2f}", goal)

    def _text(self, value: float | None) -> str:
        return "" if value is None else f"{value:,.1f} {self.unit}"


def alternated(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each call, run in turns so that noise meets all alike."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


@dataclass(frozen=True)
class Process:
    """What a process took: milliseconds of processor time, with its children, and peak MiB."""

    wall: float
    cpu: float
    memory: float


def measured(rounds: int, *command: object) -> Process:
    """Return the medians over some runs of a command."""
    found = [_measured([str(part) for part in command]) for _ in range(rounds)]
    return Process(*(statistics.median(values) for values in zip(*found, strict=True)))


# A process begins with the peak memory of the one that starts it, so that must be a small one.
_WATCH = """
import os, sys, time
start = time.perf_counter()
null = (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[null])
_, status, used = os.wait4(child, 0)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def _measured(command: list[str]) -> tuple[float, float, float]:
    wall, cpu, memory = run(sys.executable, "-I", "-S", "-c", _WATCH, *command).split()
    return float(wall) * 1000, float(cpu) * 1000, int(memory) * 1024 / MIB


def run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Instance:
    url: str
    data: Path
    trust_config: Path

    def token(self) -> str:
        modelseal = BIN / "modelseal"
        return run(modelseal, "instance", "token", "--data", self.data, "--identity", ALICE)


@contextmanager
def instance(folder: Path) -> Iterator[Instance]:
    modelseal, data = BIN / "modelseal", folder / "instance"
    command = [modelseal, "instance", "up", "--data", data, "--log-format", "json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        url = process.stdout.readline().strip()
        config = folder / "trust-config.json"
        run(modelseal, "instance", "trust-config", "--data", data, "--out", config)
        yield Instance(url, data, config)
    finally:
        process.terminate()
        process.wait()
