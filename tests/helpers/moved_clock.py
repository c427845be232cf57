# SPDX-License-Identifier: Apache-2.0
"""Whether the clock of a process is moved: the times of files are the kernel's, and never are."""

from __future__ import annotations

import os
import tempfile
import time

DAY = 86400
_SLACK = 3600  # seconds that a virtual machine may have slept between two looks


def days_ahead() -> float:
    """Return by how many days the clock of this process is ahead of that of the kernel."""
    with tempfile.TemporaryFile() as file:
        return (time.time() - os.fstat(file.fileno()).st_mtime) / DAY


def is_moved() -> bool:
    """Return whether the clock is to be moved."""
    return "FAKETIME" in os.environ


def check() -> None:
    """Fail unless the clock is moved by what `FAKETIME` says, such as +40d, and else by nothing."""
    asked = float(os.environ.get("FAKETIME", "+0d").removesuffix("d"))
    found = days_ahead()
    assert abs(found - asked) * DAY < _SLACK, f"the clock is moved by {found} days, not {asked}"


if __name__ == "__main__":
    check()
