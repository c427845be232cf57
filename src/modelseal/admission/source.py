# SPDX-License-Identifier: Apache-2.0
"""The hostile side of an admission: the files of a model, listed, hashed, copied."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from modelseal import outputs
from modelseal.admission import store as place
from modelseal.model import content, digests, hashing, lfs, names, tree, walk
from modelseal.model.digests import PLAIN
from modelseal.model.manifest import Contents, read
from modelseal.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelseal.formats import oms
    from modelseal.model.digests import Reading
    from modelseal.model.scope import Scope
    from modelseal.model.walk import Files

_FICLONE = 0x40049409  # of linux/fs.h
_SINK = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(path: Path, *, folder: bool) -> Iterator[tree.Root]:
    """Give the model at `path`, open.

    Raises:
        FormatError, UsageError, Undecided: see `tree.folder` and `tree.file`.
    """
    with tree.folder(path) if folder else tree.file(path) as root:
        yield root


def sizes(root: tree.Root, scope: Scope) -> dict[str, int]:
    """Return the bytes of the files by name, opening none."""
    found = {}
    for files in walk.walk(root, scope):
        for name, status in walk.statuses(root, files).items():
            if status.st_size or scope.empty_files:
                found[name] = status.st_size
    return found


def stored_sizes(snapshot: Path) -> Mapping[str, int]:
    """Return the bytes of the files of a snapshot by name.

    Raises:
        FormatError, Undecided: it was altered, or cannot be read.
    """
    with tree.folder(snapshot) as root:
        return sizes(root, EVERYTHING)


def formats(path: Path, scope: Scope = EVERYTHING, *, folder: bool) -> dict[str, str]:
    """Return what is in each signed file of the model at `path` (`model.content`).

    Raises:
        FormatError, UsageError, Undecided: see `opened` and `content.formats`.
    """
    with opened(path, folder=folder) as root:
        return content.formats(root, scope)


def hashed(
    root: tree.Root, scope: Scope, how: oms.Serialization, reading: Reading = PLAIN
) -> Contents:
    """Return the files as they lie there, each byte of those that were signed read once."""
    read_files = partial(digests.of_files, root, how=how, reading=reading)
    return read(root, scope, how, read_files, reading.signed)


def copied(
    root: tree.Root,
    scope: Scope,
    how: oms.Serialization,
    into: Path,
    reading: Reading = PLAIN,
) -> Contents:
    """Return the bytes that were put into the folder `into`, read once.

    A file that was not signed is not copied. A link that may be followed is copied as what it
    leads to.

    Raises:
        FormatError, Undecided: see `walk.walk` and `hashing.copied`; the store is full.
    """

    def read_files(listing: list[Files]) -> digests.Digests:
        found = digests.Digests()
        for file in walk.opened(root, listing):
            found.digests[file.name] = _copied(file, how, into, reading)
            found.sizes[file.name] = file.size
            if lfs.is_pointer(file):
                found.pointers.add(file.name)
        return found

    return read(root, scope, how, read_files, reading.signed)


def _copied(file: tree.OpenFile, how: oms.Serialization, into: Path, reading: Reading) -> bytes:
    target = into / names.to_disk(file.name)
    with place.translated(into.parent):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink = os.open(target, _SINK, 0o400)
    try:
        if _is_cloned(file.fd, sink):  # what is hashed is the clone, which nobody else can change
            clone = tree.OpenFile(file.name, sink, os.fstat(sink).st_size)
            found = hashing.copied(clone, None, how, reading.progress)
        else:
            place.check_space(into.parent, file.size)
            found = hashing.copied(file, sink, how, reading.progress)
        with place.translated(into.parent):
            outputs.sync(sink)
    except hashing.SinkError as error:
        raise place.cannot_write(error.cause, into.parent) from error
    finally:
        os.close(sink)
    return found


def _is_cloned(source: int, sink: int) -> bool:
    """Let `sink` share the blocks of `source` until one of them is written; return whether it does.

    Btrfs, XFS and some others can, within one file system.
    """
    try:
        fcntl.ioctl(sink, _FICLONE, source)
    except OSError:
        return False
    return True
