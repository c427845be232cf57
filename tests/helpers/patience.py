# SPDX-License-Identifier: Apache-2.0
"""How long a test waits for a process, an answer or a condition before it gives up.

Only a test that hangs may ever come to this end: a busy machine starts a model server in minutes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 600  # seconds
GRACE = 30  # seconds, where it is no failure to go on without it


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as `condition` holds; fail the test if it does not within `PATIENCE`."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.05)
