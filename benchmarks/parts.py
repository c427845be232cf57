# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: a row of the table, alternating runs, a private instance."""

from __future__ import annotations

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
ALICE = "alice@example.com"


@dataclass(frozen=True)
class Row:
    what: str
    ours: float
    peer: float
    goal: float | None = None  # the highest ratio that meets the goal
    unit: str = "ms"

    @property
    def ratio(self) -> float:
        return self.ours / self.peer

    @property
    def met(self) -> bool:
        return self.goal is None or self.ratio <= self.goal

    def cells(self) -> tuple[str, ...]:
        goal = "" if self.goal is None else f"<= {self.goal:g}"
        figures = (f"{self.ours:.1f} {self.unit}", f"{self.peer:.1f} {self.unit}")
        return (self.what, *figures, f"{self.ratio:.2f}", goal)


def alternated(rounds: int, *calls: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of each call, run in turns so that noise meets all alike."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            times.append((time.perf_counter() - start) * 1000)
    return [statistics.median(times) for times in taken]


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
