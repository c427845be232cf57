# SPDX-License-Identifier: Apache-2.0
"""Write the bytes of an open file to another one, and hash just those that are written."""

from __future__ import annotations

import os
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from modelseal.files import translated
from modelseal.model import hashing, small_files, tree
from modelseal.model.threads import PATIENCE, Stopped, start_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.formats import oms
    from modelseal.model.hashing import Progress
    from modelseal.model.threads import Stop

_BUFFERS = 4  # of those that a second thread writes


class SinkError(Exception):
    """The bytes that were hashed cannot be written to the sink; the cause says why."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def copied(
    file: tree.OpenFile,
    sink: int | None,
    how: oms.Serialization,
    *,
    stop: Stop,
    beside: bool = False,
    progress: Progress | None = None,
) -> bytes:
    """Return the digests of the `file`, as `LargeFiles.hash`, and write its bytes to a `sink`.

    Just the bytes that are hashed are written: `beside` says that a processor is idle, which then
    writes while this one hashes. When `stop` is set the work ends with `Stopped`.

    Raises:
        FormatError: far too many shards. Undecided: the file cannot be read or changed meanwhile.
        SinkError: `sink` cannot be written.
    """
    new, found = small_files.hasher(how.hash_type), []
    with translated(file.name), _writer(sink, file.size, beside=beside) as writer:
        before = os.fstat(file.fd)
        if before.st_size != file.size:
            raise tree.changed(file.name)
        for start, end in hashing.ranges(file.name, file.size, how.shard_size):
            hasher, at = new(memoryview(b"")), start
            while at < end:
                buffer = writer.buffer()
                data = buffer[: hashing.read(file, at, end, buffer)]
                writer.write(buffer, len(data))
                hasher.update(data)
                at += len(data)
                if progress is not None:
                    progress(len(data))
                if stop.is_set():
                    raise Stopped
            found.append(hasher.digest())
        hashing.check_unchanged(file.name, file.fd, before)
    return b"".join(found)


@contextmanager
def _writer(sink: int | None, size: int, *, beside: bool) -> Iterator[_Writer]:
    """Give what writes to `sink`; at the end all is written.

    Raises:
        SinkError: it cannot be written.
    """
    if sink is None or not beside or size < hashing.AHEAD:
        yield _Writer(sink, min(hashing.BUFFER, size + 1))
        return
    writer = _ThreadedWriter(sink)
    try:
        yield writer
        writer.finish()
    finally:
        writer.close()


class _Writer:
    """Writes pieces to `sink`, if there is one, in the thread that has them."""

    def __init__(self, sink: int | None, size: int) -> None:
        self._sink = sink
        self._buffer = memoryview(bytearray(size))

    def buffer(self) -> memoryview:
        """Return what to read the next piece into."""
        return self._buffer

    def write(self, buffer: memoryview, count: int) -> None:
        """Write the first `count` bytes of a buffer."""
        if self._sink is not None:
            _write_all(self._sink, buffer[:count])


class _ThreadedWriter(_Writer):
    """Writes pieces in a thread of its own."""

    def __init__(self, sink: int) -> None:
        super().__init__(sink, 0)
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._full: SimpleQueue[tuple[memoryview, int] | None] = SimpleQueue()
        self._error: BaseException | None = None
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(hashing.BUFFER)))
        self._thread = start_thread(self._run)

    def buffer(self) -> memoryview:
        buffer = self._free.get()
        if self._error is not None:
            raise self._error
        return buffer

    def write(self, buffer: memoryview, count: int) -> None:
        self._full.put((buffer, count))

    def finish(self) -> None:
        """Wait until all is written."""
        self._full.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread, whether all is written or not."""
        self._full.put(None)
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        while (piece := self._full.get()) is not None:
            buffer, count = piece
            try:
                if self._error is None:
                    super().write(buffer, count)
            except BaseException as error:  # noqa: BLE001 - raised by whom it concerns
                self._error = error
            self._free.put(buffer)


def _write_all(fd: int, data: memoryview) -> None:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        raise SinkError(error) from error
