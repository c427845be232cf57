# SPDX-License-Identifier: Apache-2.0
"""Digests at the speed of the machine: one pass, a reused buffer, memory that does not grow.

A megabyte at a time into a buffer that stays in the cache was the fastest of the designs measured
in one thread; a second one that reads ahead takes a tenth off a large file. mmap is no faster and
dies with SIGBUS when a file is cut short. Shards are hashed side by side:
hashlib lets go of the interpreter's lock.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

from modelseal.errors import FormatError, Undecided, shown
from modelseal.files import translated
from modelseal.formats import oms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelseal.model.tree import OpenFile

    Progress = Callable[[int], None]

BUFFER = 1024 * 1024  # bytes
_MOST_SHARDS = 1_000_000  # of a file, which can be sparse and of any size; no bundle has as many
_THREADS = 8  # more do not help: memory is the limit then
_AHEAD = 64 * 1024 * 1024  # bytes from which a second thread that reads pays
_AHEAD_BUFFER = 4 * 1024 * 1024  # bytes; smaller ones cost more in waking the thread than they gain


class SinkError(Exception):
    """The bytes that were hashed cannot be written to the sink; the cause says why."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Hasher(Protocol):
    def update(self, data: memoryview, /) -> object: ...

    def digest(self) -> bytes: ...


def resources(
    file: OpenFile,
    how: oms.Serialization,
    progress: Progress | None = None,
    sink: int | None = None,
) -> list[oms.Resource]:
    """Return the resources that `file` is: itself, or its shards; an empty file has no shards.

    Just the bytes that were hashed are written to `sink`, if it is given. `progress` is called
    with the number of bytes of each step.

    Raises:
        FormatError: far too many shards. Undecided: the file cannot be read or changed while it
            was read. SinkError: `sink` cannot be written.
    """
    with translated(file.name):
        before = os.fstat(file.fd)
        ranges = _ranges(file.name, before.st_size, how.shard_size)
        if sink is None and len(ranges) > 1:
            found = _side_by_side(file, ranges, how.hash_type, progress)
        else:
            found = [_digest(file, part, how.hash_type, progress, sink) for part in ranges]
        # A file that somebody appends to is longer than it was, also if the clock is coarse.
        grown = os.pread(file.fd, 1, before.st_size)
        after = os.fstat(file.fd)
    if grown or _stamp(before) != _stamp(after):
        raise _changed(file)
    of_parts = names(file.name, before.st_size, how)
    return [oms.Resource(*pair) for pair in zip(of_parts, found, strict=True)]


def names(file: str, size: int, how: oms.Serialization) -> list[str]:
    """Return the names of the resources that a file of this `size` is.

    Raises:
        FormatError: far too many shards.
    """
    if how.shard_size is None:
        return [file]
    return [oms.shard_name(file, *part) for part in _ranges(file, size, how.shard_size)]


def _ranges(name: str, size: int, shard: int | None) -> list[tuple[int, int]]:
    if shard is None:
        return [(0, size)]
    if size > shard * _MOST_SHARDS:
        raise FormatError(
            "too-many-shards",
            f"'{shown(name)}' would be more than {_MOST_SHARDS:,} shards of {shard:,} bytes.",
            "Check the size of the file; when signing, use larger shards.",
        )
    return [(start, min(start + shard, size)) for start in range(0, size, shard)]


def _side_by_side(
    file: OpenFile, ranges: list[tuple[int, int]], hash_type: str, progress: Progress | None
) -> list[bytes]:
    found = []
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - 6 ms, for large files only

    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda part: _digest(file, part, hash_type, None, None), ranges)
        for (start, end), digest in zip(ranges, digests, strict=True):
            found.append(digest)
            if progress is not None:  # here, in one thread
                progress(end - start)
    return found


def _digest(
    file: OpenFile,
    part: tuple[int, int],
    hash_type: str,
    progress: Progress | None,
    sink: int | None,
) -> bytes:
    start, end = part
    hasher = _hasher(hash_type)
    pieces = _pieces if end - start < _AHEAD else _pieces_ahead
    for data in pieces(file, start, end):
        hasher.update(data)
        if sink is not None:
            _write_all(sink, data)
        if progress is not None:
            progress(len(data))
    return hasher.digest()


def _pieces(file: OpenFile, offset: int, end: int) -> Iterator[memoryview]:
    """Yield the bytes from `offset` to `end`, each piece good until the next is asked for."""
    buffer = memoryview(bytearray(min(BUFFER, max(end - offset, 1))))
    while offset < end:
        piece = _read(file, buffer, offset, end)
        offset += len(piece)
        yield piece


def _pieces_ahead(file: OpenFile, offset: int, end: int) -> Iterator[memoryview]:
    """Do what `_pieces` does, but read one piece while the caller hashes the one before."""
    spare, buffer = (memoryview(bytearray(_AHEAD_BUFFER)) for _ in range(2))
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as above

    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(_read, file, buffer, offset, end)
        while True:
            piece = pending.result()
            offset += len(piece)
            if offset == end:
                break
            pending = reader.submit(_read, file, spare, offset, end)
            spare, buffer = buffer, spare
            yield piece
    yield piece


def _read(file: OpenFile, buffer: memoryview, offset: int, end: int) -> memoryview:
    count = os.preadv(file.fd, [buffer[: end - offset]], offset)
    if not count:
        raise _changed(file)
    return buffer[:count]


def _hasher(hash_type: str) -> _Hasher:
    if hash_type == "blake3":
        import blake3  # noqa: PLC0415 - most models are signed with SHA-256

        hasher: _Hasher = blake3.blake3()
        return hasher
    return hashlib.new(hash_type)


def _write_all(fd: int, data: memoryview) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        raise SinkError(error) from error


def _changed(file: OpenFile) -> Undecided:
    return Undecided(
        "changed-while-reading",
        f"'{shown(file.name)}' changed while it was read.",
        "Try again when nothing writes to the model.",
    )


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
