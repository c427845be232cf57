# SPDX-License-Identifier: Apache-2.0
"""Walk a hostile folder: open every regular file once, and nothing else.

Everything goes through directory descriptors with O_NOFOLLOW, so that nobody who can rename inside
the model can lead the walk out of it. Links, FIFOs, sockets and devices are refused by lstat before
anything is opened; what was opened is checked again by fstat.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown
from modelseal.files import not_regular, translated
from modelseal.formats import oms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILES = 1_000_000
MAX_DEPTH = 64

_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True)
class OpenFile:
    """A regular file of a model, open for reading; `name` is relative to the model."""

    name: str
    fd: int
    size: int


@contextmanager
def folder(path: Path) -> Iterator[int]:
    """Give a descriptor of the folder at `path`; the last component must not be a link.

    Raises:
        UsageError, FormatError, Undecided: missing, a link or no folder, unreadable.
    """
    with translated(str(path)):
        fd = os.open(path, _FOLDER_FLAGS)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def single(path: Path) -> Iterator[OpenFile]:
    """Give the regular file at `path`, open; its name is the base name.

    Raises:
        UsageError, FormatError, Undecided: as `folder`.
    """
    with translated(str(path)):
        _check_kind(os.lstat(path).st_mode, str(path))
        fd = os.open(path, _FILE_FLAGS)
    try:
        yield OpenFile(path.name, fd, _checked_size(fd, str(path)))
    finally:
        os.close(fd)


def walk(root_fd: int, skip: frozenset[str] = frozenset()) -> Iterator[OpenFile]:
    """Yield every regular file below `root_fd`; each is open until the next is asked for.

    `skip` are names relative to the root that are neither opened nor entered.

    Raises:
        FormatError: a link, a special file, a name that is not UTF-8, too many files, too deep.
        Undecided: unreadable or changed meanwhile.
    """
    for count, found in enumerate(_walk(root_fd, "", skip, 0)):
        if count >= MAX_FILES:
            raise FormatError("too-many-files", f"The model has more than {MAX_FILES} files.")
        yield found


def _walk(fd: int, prefix: str, skip: frozenset[str], depth: int) -> Iterator[OpenFile]:
    if depth > MAX_DEPTH:
        raise FormatError("too-deep", f"The model has folders more than {MAX_DEPTH} deep.")
    with translated(prefix or "the model folder"), os.scandir(fd) as entries:
        names = sorted(entry.name for entry in entries)
    for part in names:
        name = prefix + part
        if name in skip:
            continue
        oms.check_name(name)
        with translated(name):
            mode = os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode
            _check_kind(mode, name)
            is_folder = stat.S_ISDIR(mode)
            inner = os.open(part, _FOLDER_FLAGS if is_folder else _FILE_FLAGS, dir_fd=fd)
        try:
            if is_folder:
                yield from _walk(inner, name + "/", skip, depth + 1)
            else:
                yield OpenFile(name, inner, _checked_size(inner, name))
        finally:
            os.close(inner)


def _check_kind(mode: int, name: str) -> None:
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        code = "symlink" if stat.S_ISLNK(mode) else "special-file"
        raise FormatError(
            code,
            f"'{shown(name)}' is {kind}; a model is regular files only.",
            "Replace it by the file itself, or leave it out of the model.",
        )


def _checked_size(fd: int, name: str) -> int:
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):  # swapped between lstat and open
        raise not_regular(shown(name))
    return found.st_size
