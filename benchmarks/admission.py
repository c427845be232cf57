# SPDX-License-Identifier: Apache-2.0
"""Into the store: against the same copy with nothing checked, and bytes read per source byte."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import modelseal
from benchmarks.parts import ALICE, MIB, Row, alternated, instance
from modelseal.model import manifest
from modelseal.model.digests import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.parts import Sizes

FILES, SIZE = 8, 64 * MIB


def rows(folder: Path, _sizes: Sizes) -> Iterator[Row]:
    model = folder / "model"
    model.mkdir()
    for number in range(FILES):
        (model / f"{number}.bin").write_bytes(os.urandom(SIZE))
    with instance(folder) as started:
        modelseal.sign(model, identity_token=started.token(), trust=started.trust_config)
        options = {"identity": ALICE, "issuer": started.url, "trust": started.trust_config}

        def ours() -> None:
            with modelseal.load(model, **options):
                pass

        def copy() -> None:
            shutil.copytree(model, folder / "copy")
            shutil.rmtree(folder / "copy")

        ours()
        before = _read()
        ours()
        yield Row("admission reads / source bytes", (_read() - before) / MIB, FILES * SIZE / MIB,
                  goal=1.05, unit="MiB")  # fmt: skip
        hashing = partial(manifest.of_folder, model, reading=Reading(workers=1))
        times = alternated(5, ours, copy, hashing)
        yield Row("admit 512 MiB / cp -r", times[0], times[1])
        yield Row("admit 512 MiB / hashing alone, in one thread", times[0], times[2], goal=1.35)


def _read() -> int:
    """Return the bytes that this process has asked the kernel to read so far."""
    said = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(said["rchar"])
