# SPDX-License-Identifier: Apache-2.0
"""Install the runtimes of MLServer that tests/servers serves, at pinned versions.

They are installed once and kept in a cache folder: $MODELSEAL_SERVERS, by default
~/.cache/modelseal-servers. A folder's name has the digest of the lock file, so a new pin makes a
new folder beside the old one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "mlserver-runtimes.lock"
CACHE = Path(os.environ.get("MODELSEAL_SERVERS") or Path.home() / ".cache" / "modelseal-servers")
ENVIRONMENT = CACHE / f"mlserver-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
COMPLETE = ENVIRONMENT / ".complete"


def main() -> None:
    """Install what is missing, one process at a time; what is there stays."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if COMPLETE.exists():
            return
        print(f"installing runtimes of MLServer in {ENVIRONMENT} ...", flush=True)
        uv = Path(sys.executable).with_name("uv")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, ENVIRONMENT])
        _run([
            uv, "pip", "install", "--quiet", "--python", ENVIRONMENT / "bin" / "python",
            "--require-hashes", "--no-deps", "-r", LOCK,
        ])  # fmt: skip
        COMPLETE.touch()


def _run(command: list) -> None:
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"'{' '.join(map(str, command))}' failed with exit code {error.returncode}.")


if __name__ == "__main__":
    main()
