# SPDX-License-Identifier: Apache-2.0
"""Progress by bytes: a line on stderr, on a terminal, for what takes longer than a second."""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from modelseal.cli._run import is_quiet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_PATIENCE = 1.0  # seconds before progress is shown


class Progress:
    """Counts bytes when it is called, and shows how many of those in `paths` are done.

    With `size` there are so many.
    """

    def __init__(self, label: str, paths: Sequence[Path] = (), size: int | None = None) -> None:
        self._label = label
        self._paths = paths
        self._size = size
        self._started = time.monotonic()
        self._bar: Any = None
        self.done = 0

    def __call__(self, count: int) -> None:
        """Count `count` more bytes."""
        self.done += count
        if self._bar is None:
            if self.seconds < _PATIENCE:
                return
            self._bar = _bar(self._label, self._size or size_of(self._paths))
        task = self._bar.tasks[0]
        if task.total is not None and self.done > task.total:  # read twice, or grown meanwhile
            self._bar.update(task.id, total=None)
        self._bar.update(task.id, completed=self.done)

    @property
    def seconds(self) -> float:
        """Return how long it has taken."""
        return time.monotonic() - self._started

    def stop(self) -> None:
        """Remove the line."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def byte_progress(
    label: str, paths: Sequence[Path] = (), *, size: int | None = None
) -> Iterator[Progress | None]:
    """Give what counts the bytes done of all files in `paths`, or of `size` bytes.

    Gives None when stderr is not a terminal, or `--quiet` was given.
    """
    if is_quiet() or not sys.stderr.isatty():
        yield None
        return
    progress = Progress(label, paths, size)
    try:
        yield progress
    finally:
        progress.stop()


def size_of(paths: Sequence[Path]) -> int | None:
    """Return how many bytes the files in `paths` have; None if that cannot be told."""
    try:
        return sum(map(_size_of, map(os.fspath, paths)))
    except OSError:
        return None  # whoever reads the files says what is wrong


def _size_of(path: str) -> int:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    total, folders = 0, [path]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():  # or a link to one, as in the cache of a hub
                    total += entry.stat().st_size
    return total


def _bar(label: str, total: int | None) -> Any:  # noqa: ANN401 - rich is imported late
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn(label),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(label, total=total)
    bar.start()
    return bar
