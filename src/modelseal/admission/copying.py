# SPDX-License-Identifier: Apache-2.0
"""Copy the files of a model into a folder of ours, and hash just the bytes that get there.

Files are copied side by side: on a disk most of the time goes by until a file is safely there. A
single large file is hashed by one thread and written by another.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, NamedTuple

from modelseal import outputs
from modelseal.admission import store as place
from modelseal.files import translated
from modelseal.model import copying, digests, lfs, names, tree
from modelseal.model.small_files import open_file, open_folder
from modelseal.model.threads import Stop, in_threads

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.formats.oms import Serialization
    from modelseal.model.digests import Reading
    from modelseal.model.links import Parts
    from modelseal.model.walk import Files

_FICLONE = 0x40049409  # of linux/fs.h
_SINK = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Task(NamedTuple):
    """A file to be copied, and where it is below the boundary of the model."""

    name: str
    folder: Parts
    part: str


class _Copied(NamedTuple):
    """What is known of a copied file."""

    size: int
    digests: bytes
    is_pointer: bool


def copy(
    root: tree.Root, listing: list[Files], how: Serialization, into: Path, reading: Reading
) -> digests.Digests:
    """Return the digests of the files in `listing`, which are put into the folder `into`.

    Raises:
        FormatError, Undecided: see `digests.of_files`; the folder cannot be written or is full.
    """
    tasks = [
        _Task(name, files.folder, part)
        for files in listing
        for name, part in zip(files.names, files.parts, strict=True)
    ]
    workers = reading.processors()
    work = _Copying(root.boundary.fd, how, into, reading, is_idle=len(tasks) < workers)
    found = digests.Digests()
    done = in_threads(lambda: work.file, tasks, workers, work.stop)
    for task, copied in zip(tasks, done, strict=True):
        if copied is not None:
            found.sizes[task.name], found.digests[task.name], is_pointer = copied
            if is_pointer:
                found.pointers.add(task.name)
    return found


class _Copying:
    """The work on one model, while it is done."""

    def __init__(
        self, boundary: int, how: Serialization, into: Path, reading: Reading, *, is_idle: bool
    ) -> None:
        self.stop = Stop()
        self._boundary = boundary
        self._how = how
        self._into = into
        self._is_idle = is_idle
        self._progress = reading.shared_progress()

    def file(self, task: _Task) -> _Copied:
        """Copy one file.

        Raises:
            ModelSealError: it cannot be read or written.
        """
        with translated(task.name):
            folder = open_folder(self._boundary, task.folder)
            try:
                fd, status = open_file(folder, task.part)
            finally:
                os.close(folder)
        file = tree.OpenFile(task.name, fd, status.st_size)
        try:
            return _Copied(file.size, self._copied(file), lfs.is_pointer(file))
        finally:
            os.close(fd)

    def _copied(self, file: tree.OpenFile) -> bytes:
        sink = self._created(file.name)
        try:
            if _is_cloned(file.fd, sink):  # the clone is hashed, which nobody else can change
                clone = tree.OpenFile(file.name, sink, os.fstat(sink).st_size)
                found = self._hashing(clone, None)
            else:
                place.check_space(self._into.parent, file.size)
                found = self._hashing(file, sink)
            with place.translated(self._into.parent):
                outputs.sync(sink)
        except copying.SinkError as error:
            raise place.cannot_write(error.cause, self._into.parent) from error
        finally:
            os.close(sink)
        return found

    def _created(self, name: str) -> int:
        target = self._into / names.to_disk(name)
        with place.translated(self._into.parent):
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(target, _SINK, 0o400)

    def _hashing(self, file: tree.OpenFile, sink: int | None) -> bytes:
        return copying.copied(
            file, sink, self._how, stop=self.stop, beside=self._is_idle, progress=self._progress
        )


def _is_cloned(source: int, sink: int) -> bool:
    """Let `sink` share the blocks of `source` until one of them is written; return whether it does.

    Btrfs, XFS and some others can, within one file system.
    """
    try:
        fcntl.ioctl(sink, _FICLONE, source)
    except OSError:
        return False
    return True
