# SPDX-License-Identifier: Apache-2.0
"""Look at the clock in one thread while another sets and removes variables, as tests do."""

from __future__ import annotations

import os
import sys
import threading
import time
from unittest.mock import patch

ROUNDS = 1000
HOUR = 3600


def main() -> None:
    """Exit with 1 if the clock jumped meanwhile."""
    started, over, jumped = time.time(), threading.Event(), threading.Event()

    def look() -> None:
        while not over.is_set():
            if abs(time.time() - started) > HOUR:
                jumped.set()

    looking = threading.Thread(target=look)
    looking.start()
    variables = dict(os.environ)
    for number in range(ROUNDS):
        with patch.dict(os.environ, variables | {f"V{number}": "x" * (number % 300)}, clear=True):
            pass
    over.set()
    looking.join()
    sys.exit(int(jumped.is_set()))


if __name__ == "__main__":
    main()
