# SPDX-License-Identifier: Apache-2.0
"""Run a command on another day: move_clock.py DAYS COMMAND...

Its clock, and that of every process that it starts, is DAYS ahead. Waiting takes as long as ever.

The library comes with the Python package libfaketime. That of Debian 12 and Ubuntu 24.04, 0.9.10,
breaks `time.sleep` of Python 3.11 and later (https://github.com/wolfcw/libfaketime/issues/426).
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECK = Path(__file__).resolve().parents[1] / "tests" / "helpers" / "moved_clock.py"


def main(days: int, command: list[str]) -> None:
    """Become `command`, if the clock can be moved."""
    environment = os.environ | moved(days)
    subprocess.run([sys.executable, CHECK], env=environment, check=True)
    os.execvpe(command[0], command, environment)


def moved(days: int) -> dict[str, str]:
    """Return the environment in which processes have another clock (the README of libfaketime)."""
    package = Path(find_spec("libfaketime").origin).parent
    (library,) = package.glob("vendor/*/src/libfaketime.so.1")
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{days:+}d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # or waits with a deadline never end
        "NO_FAKE_STAT": "1",  # the check needs the times of files as they are
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
