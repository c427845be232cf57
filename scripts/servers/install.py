# SPDX-License-Identifier: Apache-2.0
"""Install the model servers and the runtimes of MLServer that tests/servers runs, as pinned.

Each set is installed once and kept in a cache folder: $MODELSEAL_SERVERS, by default
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

LOCKS = Path(__file__).resolve().parents[2] / "requirements"
CACHE = Path(os.environ.get("MODELSEAL_SERVERS") or Path.home() / ".cache" / "modelseal-servers")


def environment(lock: Path) -> Path:
    """Return the folder of the virtual environment with what `lock` pins."""
    return CACHE / f"{lock.stem}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"


SERVERS, RUNTIMES = (LOCKS / "servers.lock", LOCKS / "mlserver-runtimes.lock")
ENVIRONMENT, RUNTIMES_ENVIRONMENT = environment(SERVERS), environment(RUNTIMES)


def main() -> None:
    """Install what is missing, one process at a time; what is there stays."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        for lock in (SERVERS, RUNTIMES):
            _install(lock, environment(lock))


def _install(lock: Path, folder: Path) -> None:
    complete = folder / ".complete"
    if complete.exists():
        return
    print(f"installing {lock.name} in {folder} ...", flush=True)
    uv = Path(sys.executable).with_name("uv")
    _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder])
    _run([
        uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python",
        "--require-hashes", "--no-deps", "-r", lock,
    ])  # fmt: skip
    complete.touch()


def _run(command: list) -> None:
    try:
        subprocess.run(command, check=True)
    except subprocess.CalledProcessError as error:
        sys.exit(f"'{' '.join(map(str, command))}' failed with exit code {error.returncode}.")


if __name__ == "__main__":
    main()
