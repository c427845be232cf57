# SPDX-License-Identifier: Apache-2.0
"""Walk a hostile folder: open every regular file once, and nothing else.

Everything goes through directory descriptors with O_NOFOLLOW, so that nobody who can rename inside
the model can lead the walk out of it. Links (unless they are to be followed), FIFOs, sockets and
devices are refused by lstat before anything is opened; what was opened is checked again by fstat.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.files import not_regular, translated
from modelseal.formats import oms
from modelseal.model import links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.model.links import Parts

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


class OpenFile(NamedTuple):
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


def walk(
    root_fd: int, skip: frozenset[str] = frozenset(), *, follow: bool = False
) -> Iterator[OpenFile]:
    """Yield every regular file below `root_fd`; each is open until the next is asked for.

    `skip` are names relative to the root that are neither opened nor entered. With `follow`, links
    that stay inside the root stand for what they lead to, files and folders alike.

    Raises:
        FormatError: a link that is not to be followed, leads out of the root, nowhere or in a
            circle; a special file, a name that is not UTF-8, too many files, too deep.
        Undecided: unreadable or changed meanwhile.
    """
    return _Walker(root_fd, skip, follow=follow).below(root_fd, "", ((),))


class _Walker:
    """One walk: what stays the same all the way down, and how much was met."""

    def __init__(self, root_fd: int, skip: frozenset[str], *, follow: bool) -> None:
        self._root = root_fd
        self._skip = skip
        self._follow = follow
        self._met = 0

    def below(self, fd: int, prefix: str, real: tuple[Parts, ...]) -> Iterator[OpenFile]:
        """Yield the files below the folder `fd`; `real` are the folders on the way, links solved.

        The last of `real` is this one.
        """
        if prefix.count("/") > MAX_DEPTH:
            raise FormatError("too-deep", f"The model has folders more than {MAX_DEPTH} deep.")
        with translated(prefix or "the model folder"), os.scandir(fd) as entries:
            names = sorted(entry.name for entry in entries)
        for part in names:
            name = prefix + part
            if name in self._skip:
                continue
            oms.check_name(name)
            self._met += 1  # folders too: links can make many of few
            if self._met > MAX_FILES:
                raise FormatError("too-many-files", f"The model has more than {MAX_FILES} files.")
            where = (*real[-1], part)
            with translated(name):
                mode = os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode
                if self._follow and stat.S_ISLNK(mode):
                    where = links.resolved(self._root, where, name)
                    inner, mode = links.opened(self._root, where)
                else:
                    _check_kind(mode, name)
                    flags = _FOLDER_FLAGS if stat.S_ISDIR(mode) else _FILE_FLAGS
                    inner = os.open(part, flags, dir_fd=fd)
            try:
                if stat.S_ISDIR(mode):
                    if where in real:
                        raise links.bad_link(name, "leads in a circle")
                    yield from self.below(inner, name + "/", (*real, where))
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
