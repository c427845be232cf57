# SPDX-License-Identifier: Apache-2.0
"""Read and hash many small files, folder by folder, in one thread.

A file of a few kilobytes is hashed within microseconds, so what counts here is what Python does
around it: no context manager, no object and no second look at the name for each file. Threads do
not help, as the interpreter's lock changes hands at every call of the system; processes do, see
`helpers`.
"""

from __future__ import annotations

import errno
import hashlib
import marshal
import os
import stat
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Name = str | bytes

SMALL = 64 * 1024  # bytes; a larger file is worth a thread's while
CHANGED = -1  # in place of an error number: the file changed while it was read

# Whether a file is a Git LFS pointer `lfs` finds out, which helpers need not import.
POINTER_LIMIT = 1024  # bytes; a pointer has fewer
_POINTER_START = b"version "

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# A folder on the way need not be readable; only Linux can say so.
ON_THE_WAY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Hasher(Protocol):
    """What hashlib and blake3 give."""

    def update(self, data: memoryview, /) -> object:
        """Take more bytes."""

    def digest(self) -> bytes:
        """Return the digest of what was taken so far."""


# Of a file its size; the digests of its parts one after the other, of a whole file just one, or
# None if it was not read because it is not small; and all its bytes if it may be a Git LFS pointer.
# Else a number of `errno`, or CHANGED. No class: helpers send them, and there are many.
Result = tuple[int, bytes | None, bytes] | int


def hasher(hash_type: str) -> Callable[[memoryview], Hasher]:
    """Return what begins to hash with this algorithm."""
    if hash_type == "blake3":
        import blake3  # noqa: PLC0415 - most models are signed with SHA-256

        of_blake3: Callable[[memoryview], Hasher] = blake3.blake3
        return of_blake3
    of_hashlib: Callable[[memoryview], Hasher] = getattr(hashlib, hash_type)
    return of_hashlib


def open_folder(boundary: int, folder: Iterable[Name]) -> int:
    """Return a new descriptor of the folder at the path `folder` below the folder `boundary`.

    Every component is opened by itself, so that no link is followed.

    Raises:
        OSError: it cannot be opened.
    """
    fd = os.dup(boundary)
    for part in folder:
        try:
            inner = os.open(part, ON_THE_WAY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
    return fd


def open_file(folder: int, part: str) -> tuple[int, os.stat_result]:
    """Return a descriptor of the regular file `part` of the open `folder`, and its status.

    Raises:
        OSError: it cannot be opened; it is no regular file (ENXIO, as for a socket).
    """
    fd = os.open(part, _FILE, dir_fd=folder)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return fd, status


class SmallFiles:
    """Hashes small files below the folder open as `boundary`, whole or by shards."""

    def __init__(
        self, boundary: int, hash_type: str, shard: int | None = None, limit: int = SMALL
    ) -> None:
        self._boundary = boundary
        self._hasher = hasher(hash_type)
        self._shard = shard
        self._limit = limit
        self._buffer = memoryview(bytearray(limit + 1))  # so that a longer file shows
        self._buffers = [self._buffer]

    def hash(self, folder: Iterable[Name], parts: Iterable[Name]) -> list[Result]:
        """Return for each of the files `parts` of a folder its size and digests, or an error.

        Raises:
            OSError: the folder cannot be opened.
        """
        results: list[Result] = []
        folder_fd = open_folder(self._boundary, folder)
        try:
            for part in parts:
                try:
                    fd = os.open(part, _FILE, dir_fd=folder_fd)
                    try:
                        results.append(self._hash(fd))
                    finally:
                        os.close(fd)
                except OSError as error:
                    results.append(error.errno or errno.EIO)
        finally:
            os.close(folder_fd)
        return results

    def _hash(self, fd: int) -> Result:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            return errno.ENXIO
        size = before.st_size
        if size > self._limit:
            return size, None, b""
        count = os.readv(fd, self._buffers)
        after = os.fstat(fd)
        if (
            after.st_ctime_ns != before.st_ctime_ns
            or after.st_mtime_ns != before.st_mtime_ns
            or after.st_size != size
            or count > size
        ):
            return CHANGED
        if count < size:  # some file systems give less at once than there is
            return size, None, b""
        data = self._buffer[:size]
        digests = self._hasher(data).digest() if self._shard is None else self._shards(data)
        if size < POINTER_LIMIT and data[: len(_POINTER_START)] == _POINTER_START:
            return size, digests, bytes(data)
        return size, digests, b""

    def _shards(self, data: memoryview) -> bytes:
        step = self._shard or len(data)
        shards = range(0, len(data), step)
        return b"".join(self._hasher(data[n : n + step]).digest() for n in shards)


def answer() -> None:
    """Do the share of a helper: what is to be hashed is on stdin, what was found goes to stdout."""
    arguments, batches = marshal.load(sys.stdin.buffer)  # noqa: S302 - what `helpers` wrote
    files = SmallFiles(*arguments)
    found = [files.hash(folder, parts) for folder, parts in batches]
    marshal.dump(found, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    os._exit(0)  # at once, without taking apart what was found
