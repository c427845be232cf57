# SPDX-License-Identifier: Apache-2.0
"""Time and memory of whole processes, as models grow: the plots of docs/performance.md."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.chart import Series, chart
from benchmarks.parts import BIN, MIB, Process, Row, measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.parts import Sizes

DOCS = Path(__file__).parents[1] / "docs"
FILE_SIZE = 1024
LINEAR = 1.5  # times as long a byte or file as in the model of a tenth of the size


def rows(folder: Path, sizes: Sizes) -> Iterator[Row]:
    counts = [10**n for n in range(2, 7) if 10**n <= sizes.most_files]
    files = [(n, _digest(folder / "files", partial(_files, count=n))) for n in counts]
    bytes_ = [MIB * 2**n for n in range(14) if MIB * 2**n <= sizes.largest]
    large = [(n, _digest(folder / "large", partial(_file, size=n))) for n in bytes_]
    for name, unit, found in (("files", "files", files), ("bytes", "bytes", large)):
        times = Series("modelseal digest", [(n, process.wall / 1000) for n, process in found])
        memory = Series("modelseal digest", [(n, process.memory) for n, process in found])
        (DOCS / f"performance-{name}-time.svg").write_text(chart(unit, "seconds", [times]))
        (DOCS / f"performance-{name}-memory.svg").write_text(chart(unit, "MiB", [memory]))
        (most, last), (fewer, before) = found[-1], found[-2]
        yield Row(
            f"digest of {most:,} {unit} / of {fewer:,}, time each",
            last.wall / most * 1e6, before.wall / fewer * 1e6, goal=LINEAR, unit="ns",
        )  # fmt: skip
        yield Row(f"  memory, {most:,} / {fewer:,} {unit}", last.memory, before.memory, unit="MiB")


def _digest(model: Path, fill: Callable[[Path], None]) -> Process:
    model.mkdir()
    fill(model)
    found = measured(3, BIN / "modelseal", "digest", model, "--format", "json")
    shutil.rmtree(model)
    return found


def _files(model: Path, count: int) -> None:
    data = os.urandom(FILE_SIZE)
    for number in range(count):
        path = model / f"{number // 1000:04}" / f"{number:07}.bin"
        if number % 1000 == 0:
            path.parent.mkdir()
        path.write_bytes(data)


def _file(model: Path, size: int) -> None:
    block = os.urandom(MIB)
    with (model / "large.bin").open("wb") as file:
        for _ in range(size // MIB):
            file.write(block)
