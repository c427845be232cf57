# SPDX-License-Identifier: Apache-2.0
"""Run a command on another day: move_clock.py DAYS COMMAND...

Its clock, and that of every process that it starts, is DAYS ahead. Waiting takes as long as ever.

The library is that of the Python package libfaketime, compiled with less in it than it comes with.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECK = Path(__file__).resolve().parents[1] / "tests" / "helpers" / "moved_clock.py"
# As its Makefile does, but without three parts of it:
# FAKE_PTHREAD reads the environment each time that a thread waits, also for Python's global lock:
#   the process crashes when another thread sets a variable meanwhile. And it takes some monotonic
#   deadlines for dates, which ends in "take_gil: PyCOND_WAIT(gil->cond) failed".
# FAKE_SLEEP breaks `time.sleep` (https://github.com/wolfcw/libfaketime/issues/426).
# FAKE_STAT moves the times of files, which the check needs as they are.
COMPILE = (
    os.environ.get("CC", "cc"), "-std=gnu99", "-O2", "-fPIC", "-shared",
    "-DFAKE_TIMERS", "-DFAKE_INTERNAL_CALLS", '-DPREFIX=""', '-DLIBDIRNAME=""',
)  # fmt: skip
LIBRARIES = ("-ldl", "-lm", "-lrt", "-lpthread")


def main(days: int, command: list[str]) -> None:
    """Become `command`, if the clock can be moved."""
    environment = os.environ | moved(days)
    subprocess.run([sys.executable, CHECK], env=environment, check=True)
    os.execvpe(command[0], command, environment)


def moved(days: int) -> dict[str, str]:
    """Return the environment in which processes have another clock (the README of libfaketime)."""
    return {
        "LD_PRELOAD": str(built()),
        "FAKETIME": f"{days:+}d",
        "FAKETIME_CACHE_DURATION": str(2**31 - 1),  # or it reads the environment every 10 s
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # or waits with a deadline never end
    }


def built() -> Path:
    """Return the library, which is built once for each virtual environment."""
    (source,) = Path(find_spec("libfaketime").origin).parent.glob("vendor/*/src/libfaketime.c")
    library = Path(sys.prefix) / "lib" / "libfaketime-for-threads.so"
    if library.exists():
        return library
    symbols = f"-Wl,--version-script={source.with_suffix('.map')}"
    partial = library.with_suffix(f".{os.getpid()}")
    command = [*COMPILE, symbols, "-o", partial, source, *LIBRARIES]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        sys.exit(f"{COMPILE[0]}: no such command; moving the clock needs a C compiler, such as gcc")
    return partial.rename(library)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
