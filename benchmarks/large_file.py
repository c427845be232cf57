# SPDX-License-Identifier: Apache-2.0
"""Verify one file of 2 GiB: against hashlib in one thread, start-up of each included."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.parts import ALICE, BIN, Row, alternated, instance, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 2 * 1024**3
MIB = 1024**2
_HASHLIB = "import hashlib,sys;hashlib.file_digest(open(sys.argv[1],'rb'),'sha256').hexdigest()"


def rows(folder: Path) -> Iterator[Row]:
    large, small = folder / "large.bin", folder / "small.bin"
    block = os.urandom(16 * MIB)
    with large.open("wb") as file:
        for _ in range(SIZE // len(block)):
            file.write(block)
    small.write_bytes(b"small")
    with instance(folder) as started:
        trust = ("--trust-config", started.trust_config)
        sign = (BIN / "modelseal", "sign", large, small, *trust)
        run(*sign, "--identity-token", started.token())
        who = (*trust, "--identity", ALICE, "--issuer", started.url)
        verify = (BIN / "modelseal", "verify", large, *who)
        verify_small = (BIN / "modelseal", "verify", small, *who)
        ours, startup, hashing = alternated(
            3,
            lambda: run(*verify),
            lambda: run(*verify_small),
            lambda: run(sys.executable, "-I", "-c", _HASHLIB, large),
        )
        yield Row("verify 2 GiB / hashlib + start-up", ours, hashing + startup, goal=1.0)
        yield Row("its peak memory / 120 MiB", _peak(verify), 120, goal=1.0, unit="MiB")


def _peak(command: tuple[object, ...]) -> float:
    """Return the peak resident MiB of a command, seen from a process that has only this child."""
    watch = (
        "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=2);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", watch, *map(str, command)],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    return int(done.stdout) * 1024 / MIB


assert resource.RUSAGE_CHILDREN  # Linux reports kibibytes
