# SPDX-License-Identifier: Apache-2.0
"""Walk a hostile folder: open every regular file once, and nothing else.

Everything goes through directory descriptors with O_NOFOLLOW, so that nobody who can rename inside
the model can lead the walk out of it. Links (unless they are to be followed), FIFOs, sockets and
devices are refused by lstat before anything is opened; what was opened is checked again by fstat.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.files import not_regular, read_fd, translated
from modelseal.formats import oms
from modelseal.model import hub_cache, links, names
from modelseal.model.links import Boundary
from modelseal.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.model.links import Parts
    from modelseal.model.scope import Scope

MAX_FILES = 1_000_000
MAX_DEPTH = 64
LOST_AND_FOUND = "lost+found"

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
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


class Root(NamedTuple):
    """A model, open: a folder, and what its links must stay inside, or the `only` file.

    With `is_linked` it is in a cache of the Hugging Face Hub: links are followed, whatever was
    signed, for the cache is made of them.
    """

    fd: int
    boundary: Boundary
    is_linked: bool = False
    only: OpenFile | None = None


@contextmanager
def folder(path: Path) -> Iterator[Root]:
    """Give the folder at `path`, open; the last component must not be a link.

    Raises:
        UsageError, FormatError, Undecided: missing, a link or no folder, unreadable.
    """
    with translated(str(path)):
        fd = os.open(path, _FOLDER_FLAGS)
    try:
        place = hub_cache.located(_real_path(fd, path))
        if place is None:
            yield Root(fd, Boundary(fd))
        else:
            with _snapshot(path, *place) as root:
                yield root
    finally:
        os.close(fd)


@contextmanager
def _snapshot(path: Path, cache: Path, model: Parts) -> Iterator[Root]:
    """Give the folder `model` of a Hub's `cache`, opened from there on without a link."""
    with ExitStack() as stack:
        with translated(str(path)):
            boundary = stack.enter_context(links.cache_boundary(cache, model))
            fd, _ = links.opened(boundary, model)
            stack.callback(os.close, fd)
        yield Root(fd, boundary, is_linked=True)


def _real_path(fd: int, path: Path) -> str:
    """Return the path without links of the folder `fd`, which was opened at `path`."""
    try:  # of Linux; quick, and surely that of `fd`
        real = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - text is wanted
    except OSError:
        real = ""
    return real if real.startswith("/") else os.path.realpath(path)


@contextmanager
def single(path: Path) -> Iterator[OpenFile]:
    """Give the regular file at `path`, open; its name is the base name.

    A link is refused, unless it is one of those that a cache of the Hugging Face Hub is made of.

    Raises:
        UsageError, FormatError, Undecided: as `folder`.
    """
    with translated(str(path)):
        mode = os.lstat(path).st_mode
        place = None
        if stat.S_ISLNK(mode):
            place = hub_cache.located(str(Path(os.path.realpath(path.parent), path.name)))
        if place is not None:
            with links.cache_boundary(*place) as boundary:
                where = links.resolved(boundary, place[1], path.name)
                fd, mode = links.opened(boundary, where)
        else:
            _check_kind(mode, str(path))
            fd = os.open(path, _FILE_FLAGS)
    try:
        yield OpenFile(names.from_disk(path.name), fd, _checked_size(fd, str(path)))
    finally:
        os.close(fd)


@contextmanager
def file(path: Path) -> Iterator[Root]:
    """Give the model that is the one file at `path`; otherwise as `single`."""
    with single(path) as only:
        yield Root(only.fd, Boundary(only.fd), path.is_symlink(), only)


def read(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of the file at `path`, at most `limit`, such as a bundle inside a model.

    Raises:
        FormatError: too large, or as `single`. UsageError, Undecided: as `single`.
    """
    with single(path) as file, translated(str(path)):
        return read_fd(file.fd, limit, f"The {what} '{shown(str(path))}'")


def walk(
    root: Root, scope: Scope = EVERYTHING, ignored: list[str] | None = None
) -> Iterator[OpenFile]:
    """Yield every regular file of the model that is in `scope`, open until the next is asked for.

    `ignored` gets the names of what is there unsigned and may be.

    Raises:
        FormatError: a link that is not to be followed, leads out of the model, nowhere or in a
            circle; a special file, a name that is not UTF-8, too many files, too deep.
        Undecided: unreadable or changed meanwhile.
    """
    if root.only is not None:
        return iter((root.only,))
    walker = _Walker(root, scope, [] if ignored is None else ignored)
    return walker.below(root.fd, "", (root.boundary.model,))


class _Walker:
    """One walk: what stays the same all the way down, and how much was met."""

    def __init__(self, root: Root, scope: Scope, ignored: list[str]) -> None:
        self._boundary = root.boundary
        self._follow = scope.follow_links or root.is_linked
        self._scope = scope
        self._ignored = ignored
        self._met = 0

    def below(self, fd: int, prefix: str, real: tuple[Parts, ...]) -> Iterator[OpenFile]:
        """Yield the files below the folder `fd`; `real` are the folders on the way, links solved.

        The last of `real` is this one.
        """
        if prefix.count("/") > MAX_DEPTH:
            raise FormatError("too-deep", f"The model has folders more than {MAX_DEPTH} deep.")
        with translated(prefix or "the model folder"), os.scandir(fd) as entries:
            parts = sorted(entry.name for entry in entries)
        for part in parts:
            name = self._name(fd, prefix, part)
            if name is None or name in self._scope.skip:
                continue
            self._met += 1  # folders too: links can make many of few
            if self._met > MAX_FILES:
                raise FormatError("too-many-files", f"The model has more than {MAX_FILES} files.")
            found = self._opened(fd, part, oms.check_name(name), (*real[-1], part))
            if found is None:
                continue
            inner, mode, where = found
            try:
                if stat.S_ISDIR(mode):
                    if where in real:
                        raise links.bad_link(name, "leads in a circle")
                    yield from self.below(inner, name + "/", (*real, where))
                else:
                    file = OpenFile(name, inner, _checked_size(inner, name))
                    if file.size or self._scope.empty_files:
                        yield file
            finally:
                os.close(inner)

    def _name(self, fd: int, prefix: str, part: str) -> str | None:
        """Return the name of `part` of the folder `fd` in the model.

        None if no manifest has such a name and it may be there unsigned.
        """
        try:
            return prefix + names.from_disk(part)
        except FormatError:
            if not self._scope.ignore_unsigned:
                raise
            with translated(names.text(part)):
                mode = os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode
            if not self._is_ignored(prefix + part, mode):
                raise
            return None

    def _opened(self, fd: int, part: str, name: str, where: Parts) -> tuple[int, int, Parts] | None:
        """Return `part` of the folder `fd` open, its mode, and where it is when links are solved.

        None if it is to be passed over.
        """
        with translated(name):
            status = os.stat(part, dir_fd=fd, follow_symlinks=False)
            mode = status.st_mode
            if self._scope.ignore_unsigned and self._is_ignored(name, mode):
                return None
            if name == LOST_AND_FOUND and _is_roots_own(status):
                return None
            if self._follow and stat.S_ISLNK(mode):
                where = links.resolved(self._boundary, where, name)
                return *links.opened(self._boundary, where), where
            _check_kind(mode, name)
            flags = _FOLDER_FLAGS if stat.S_ISDIR(mode) else _FILE_FLAGS
            return os.open(part, flags, dir_fd=fd), mode, where

    def _is_ignored(self, name: str, mode: int) -> bool:
        kinds = {stat.S_IFDIR: (True,), stat.S_IFLNK: (True, False)}.get(
            stat.S_IFMT(mode), (False,)
        )
        ignored = any(self._scope.ignores(name, folder=folder) for folder in kinds)
        if ignored:
            self._ignored.append(name)
        return ignored


def _is_roots_own(status: os.stat_result) -> bool:
    """Return whether this is what ext4 puts at the top of a volume, closed to all but root.

    Its owner and mode keep anybody else from putting something there for a loader to find. Root
    sees what is in it: usually nothing, and a file would be one that nobody signed.
    """
    closed = stat.S_ISDIR(status.st_mode) and not status.st_mode & _OTHERS
    return closed and status.st_uid == 0 != os.geteuid()


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
