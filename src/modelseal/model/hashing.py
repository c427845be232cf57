# SPDX-License-Identifier: Apache-2.0
"""Digests of large files at the speed of the machine, in memory that does not grow.

A megabyte at a time into a buffer that stays in the cache was the fastest of the designs measured
in one thread; where a processor is idle, a second thread that reads ahead takes a tenth off. mmap
is no faster and dies with SIGBUS when a file is cut short. Files, and shards of files, are hashed
side by side: hashlib lets go of the interpreter's lock.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.files import translated
from modelseal.formats import oms
from modelseal.model import small_files, tree
from modelseal.model.threads import PATIENCE, Stopped, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelseal.model.links import Parts
    from modelseal.model.threads import Stop

    Progress = Callable[[int], None]

BUFFER = 1024 * 1024  # bytes
_MOST_SHARDS = 1_000_000  # of a file, which can be sparse and of any size; no bundle has as many
AHEAD = 64 * 1024 * 1024  # bytes from which a second thread that reads pays
_AHEAD_BUFFER = 1024 * 1024
_AHEAD_BUFFERS = 4
_TASK = 64 * 1024 * 1024  # bytes; shards that are smaller are hashed several at a time


class LargeFile(NamedTuple):
    """A file to be hashed: its name in the model, where it is below the boundary, its size."""

    name: str
    folder: Parts
    part: str
    size: int


class Stretch(NamedTuple):
    """The bytes of a file from `start` to before `end`: all of it, or some of its shards."""

    file: LargeFile
    start: int
    end: int


def stretches(file: LargeFile, shard: int | None) -> Iterator[Stretch]:
    """Yield what of `file` can be hashed side by side.

    Raises:
        FormatError: far too many shards.
    """
    if shard is None:
        yield Stretch(file, 0, file.size)
        return
    _check_shards(file.name, file.size, shard)
    step = shard * max(1, _TASK // shard)
    for start in range(0, file.size, step):
        yield Stretch(file, start, min(start + step, file.size))


def names(file: str, size: int, how: oms.Serialization) -> list[str]:
    """Return the names of the resources that a file of this `size` is.

    Raises:
        FormatError: far too many shards.
    """
    if how.shard_size is None:
        return [file]
    return [oms.shard_name(file, *part) for part in ranges(file, size, how.shard_size)]


def ranges(name: str, size: int, shard: int | None) -> list[tuple[int, int]]:
    """Return where the parts of a file begin and end: the shards, or all of it.

    Raises:
        FormatError: far too many shards.
    """
    if shard is None:
        return [(0, size)]
    _check_shards(name, size, shard)
    return [(start, min(start + shard, size)) for start in range(0, size, shard)]


def _check_shards(name: str, size: int, shard: int) -> None:
    if size > shard * _MOST_SHARDS:
        raise FormatError(
            "too-many-shards",
            f"'{shown(name)}' would be more than {_MOST_SHARDS:,} shards of {shard:,} bytes.",
            "Check the size of the file; when signing, use larger shards.",
        )


class LargeFiles:
    """Hashes large files below the folder open as `boundary`: one of these for each thread.

    `ahead` says that a processor is idle. `progress` gets the number of bytes of each step. When
    `stop` is set the work ends with `Stopped`.
    """

    def __init__(
        self,
        boundary: int,
        how: oms.Serialization,
        *,
        stop: Stop,
        ahead: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._boundary = boundary
        self._hasher = small_files.hasher(how.hash_type)
        self._shard = how.shard_size
        self._stop = stop
        self._ahead = ahead
        self._progress = progress
        self._buffer = memoryview(bytearray(BUFFER))

    def hash(self, stretch: Stretch) -> bytes:
        """Return the digest of the `stretch`, or of each shard in it, one after the other.

        Raises:
            ModelSealError: the file cannot be read or changed meanwhile. Stopped: as asked.
        """
        file = stretch.file
        with translated(file.name):
            folder = small_files.open_folder(self._boundary, file.folder)
            try:
                fd, before = small_files.open_file(folder, file.part)
            finally:
                os.close(folder)
            try:
                if before.st_size != file.size:
                    raise tree.changed(file.name)
                found = self._digests(tree.OpenFile(file.name, fd, file.size), stretch)
                check_unchanged(file.name, fd, before)
            finally:
                os.close(fd)
        return found

    def _digests(self, file: tree.OpenFile, stretch: Stretch) -> bytes:
        step = self._shard or max(stretch.end, 1)
        starts = range(stretch.start, stretch.end, step) or (0,)
        return b"".join(self._digest(file, n, min(n + step, stretch.end)) for n in starts)

    def _digest(self, file: tree.OpenFile, start: int, end: int) -> bytes:
        hasher = self._hasher(self._buffer[:0])
        for data in self._pieces(file, start, end):
            hasher.update(data)
            if self._progress is not None:
                self._progress(len(data))
            if self._stop.is_set():
                raise Stopped
        return hasher.digest()

    def _pieces(self, file: tree.OpenFile, start: int, end: int) -> Iterator[memoryview]:
        if self._ahead and end - start >= AHEAD:
            return _pieces_ahead(file, start, end)
        return pieces(file, start, end, self._buffer)


def pieces(file: tree.OpenFile, start: int, end: int, buffer: memoryview) -> Iterator[memoryview]:
    """Yield the bytes from `start` to `end`, each piece good until the next is asked for.

    Raises:
        Undecided: the file is shorter than it was. OSError: it cannot be read.
    """
    while start < end:
        count = read(file, start, end, buffer)
        start += count
        yield buffer[:count]


def read(file: tree.OpenFile, start: int, end: int, buffer: memoryview) -> int:
    """Return how many of the bytes from `start` to `end` were read into `buffer`, at least one.

    Raises:
        Undecided: the file is shorter than it was. OSError: it cannot be read.
    """
    count = os.preadv(file.fd, [buffer[: end - start]], start)
    if not count:
        raise tree.changed(file.name)
    return count


def _pieces_ahead(file: tree.OpenFile, start: int, end: int) -> Iterator[memoryview]:
    """Do what `pieces` does, but read while the caller hashes what was read before."""
    from queue import SimpleQueue  # noqa: PLC0415 - 1 ms, for large files only

    empty: SimpleQueue[memoryview | None] = SimpleQueue()
    full: SimpleQueue[tuple[memoryview, int] | BaseException] = SimpleQueue()

    def fill() -> None:
        offset = start
        try:
            while offset < end and (buffer := empty.get()) is not None:
                count = read(file, offset, end, buffer)
                offset += count
                full.put((buffer, count))
        except BaseException as error:  # noqa: BLE001 - raised below, by whom it concerns
            full.put(error)

    for _ in range(_AHEAD_BUFFERS):
        empty.put(memoryview(bytearray(_AHEAD_BUFFER)))
    thread = start_thread(fill)
    try:
        while start < end:
            piece = full.get()
            if isinstance(piece, BaseException):
                raise piece
            buffer, count = piece
            start += count
            yield buffer[:count]
            empty.put(buffer)
    finally:
        empty.put(None)
        thread.join(PATIENCE)


def check_unchanged(name: str, fd: int, before: os.stat_result) -> None:
    """Check that the open file is as it was, having been read to its end.

    Raises:
        Undecided: it changed ("changed-while-reading"). OSError: cannot tell.
    """
    # A file that somebody appends to is longer than it was, also if the clock is coarse.
    grown = os.pread(fd, 1, before.st_size)
    after = os.fstat(fd)
    if grown or _stamp(before) != _stamp(after):
        raise tree.changed(name)


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
