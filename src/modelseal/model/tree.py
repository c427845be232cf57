# SPDX-License-Identifier: Apache-2.0
"""Open a model that may be hostile: its folder, or the one file that it is.

Links (but for those of the Hugging Face Hub's cache), FIFOs, sockets and devices are refused by
lstat before anything is opened; what was opened is checked again by fstat.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, Undecided, shown
from modelseal.files import read_fd, translated
from modelseal.model import hub_cache, links, names
from modelseal.model.links import Boundary
from modelseal.model.small_files import ON_THE_WAY, open_file, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.model.links import Parts

MAX_FILES = 1_000_000
MAX_DEPTH = 64
LOST_AND_FOUND = "lost+found"
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

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


class SingleFile(NamedTuple):
    """The file that is a model by itself: its base name, and where it is below the boundary."""

    name: str
    path: Parts


class Root(NamedTuple):
    """A model, open: a folder, and what its links must stay inside, or the `only` file.

    With `is_linked` it is in a cache of the Hugging Face Hub: links are followed, whatever was
    signed, for the cache is made of them.
    """

    fd: int
    boundary: Boundary
    is_linked: bool = False
    only: SingleFile | None = None


@contextmanager
def folder(path: Path) -> Iterator[Root]:
    """Give the folder at `path`, open; the last component must not be a link.

    Raises:
        UsageError, FormatError, Undecided: missing, a link or no folder, unreadable.
    """
    with translated(str(path)):
        fd = os.open(path, FOLDER_FLAGS)
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
def file(path: Path) -> Iterator[Root]:
    """Give the model that is the one file at `path`; its name is the base name.

    A link is refused, unless it is one of those that a cache of the Hugging Face Hub is made of.

    Raises:
        UsageError, FormatError, Undecided: as `folder`.
    """
    with _located(path) as (boundary, where):
        only = SingleFile(names.from_disk(path.name), where)
        yield Root(boundary.fd, boundary, boundary.repository is not None, only)


@contextmanager
def single(path: Path) -> Iterator[OpenFile]:
    """Give the regular file at `path`, open; otherwise as `file`.

    Raises:
        UsageError, FormatError, Undecided: as `file`.
    """
    with _located(path) as (boundary, where):
        with translated(str(path)):
            parent = open_folder(boundary.fd, where[:-1])
            try:
                fd, status = open_file(parent, where[-1])
            finally:
                os.close(parent)
        try:
            yield OpenFile(names.from_disk(path.name), fd, status.st_size)
        finally:
            os.close(fd)


@contextmanager
def _located(path: Path) -> Iterator[tuple[Boundary, Parts]]:
    """Give what the file at `path` must be inside of, and where it is in there."""
    with ExitStack() as stack:
        with translated(str(path)):
            mode = os.lstat(path).st_mode
            place = None
            if stat.S_ISLNK(mode):
                place = hub_cache.located(str(Path(os.path.realpath(path.parent), path.name)))
            if place is not None:
                boundary = stack.enter_context(links.cache_boundary(*place))
                where = links.resolved(boundary, place[1], path.name)
            else:
                check_kind(mode, str(path))
                fd = os.open(path.parent, ON_THE_WAY & ~os.O_NOFOLLOW)
                stack.callback(os.close, fd)
                boundary, where = Boundary(fd), (path.name or ".",)
        yield boundary, where


def read(path: Path, limit: int, what: str) -> bytes:
    """Return the bytes of the file at `path`, at most `limit`, such as a bundle inside a model.

    Raises:
        FormatError: too large, or as `single`. UsageError, Undecided: as `single`.
    """
    with single(path) as file, translated(str(path)):
        return read_fd(file.fd, limit, f"The {what} '{shown(str(path))}'")


def check_kind(mode: int, name: str) -> None:
    """Check that no link, FIFO, socket or device has this `mode`.

    Raises:
        FormatError: one has ("symlink", "special-file").
    """
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is not None:
        code = "symlink" if stat.S_ISLNK(mode) else "special-file"
        raise FormatError(
            code,
            f"'{shown(name)}' is {kind}; a model is regular files only.",
            "Replace it by the file itself, or leave it out of the model.",
        )


def changed(name: str) -> Undecided:
    """Return the refusal of the file `name`, which is not what it was a moment ago."""
    return Undecided(
        "changed-while-reading",
        f"'{shown(name)}' changed while it was read.",
        "Try again when nothing writes to the model.",
    )
