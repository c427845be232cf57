# SPDX-License-Identifier: Apache-2.0
"""Symbolic links of a model: followed where they may be, but never out of it.

The kernel follows none of them: every component is looked at and opened by itself, so that nobody
who can rename inside the model can lead the walk out of it.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.model import hub_cache
from modelseal.model.small_files import ON_THE_WAY, open_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    Parts = tuple[str, ...]  # the path of a file or folder, as Python reads names from disk

_MAX_LINKS = 40  # on one way, as Linux has it
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Boundary(NamedTuple):
    """What links must stay inside: the folder open as `fd`, below which the model is at `model`.

    With `repository`, the folder is a cache of the Hugging Face Hub, and links may lead only where
    those of that repository's snapshots do.
    """

    fd: int
    model: Parts = ()
    repository: str | None = None

    def _allows(self, path: Parts) -> bool:
        return self.repository is None or hub_cache.may_lead_to(self.repository, path)

    def check(self, path: Parts, name: str) -> None:
        """Check that the link `name` may lead by or to `path`.

        Raises:
            FormatError: it may not ("symlink").
        """
        if not self._allows(path):
            raise bad_link(name, "leads out of the model")


@contextmanager
def cache_boundary(cache: os.PathLike[str], model: Parts) -> Iterator[Boundary]:
    """Give the boundary of the `model`, a path below the folder `cache` of the Hub.

    Raises:
        OSError: the cache cannot be opened.
    """
    fd = os.open(cache, ON_THE_WAY)
    try:
        yield Boundary(fd, model, model[0])
    finally:
        os.close(fd)


def resolved(boundary: Boundary, link: Parts, name: str) -> Parts:
    """Return where `link`, a path below the boundary, leads: another such path, without links.

    Raises:
        FormatError: out of the boundary, nowhere, or through too many links ("symlink").
        OSError: a folder on the way cannot be read.
    """
    done: list[str] = []
    todo = list(reversed(link))
    met = 0
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not done:
                raise bad_link(name, "leads out of the model")
            done.pop()
            continue
        boundary.check((*done, part), name)
        target = _target(boundary.fd, done, part, name)
        if target is None:
            done.append(part)
            continue
        met += 1
        if met > _MAX_LINKS:
            raise bad_link(name, "leads in a circle")
        if target.startswith("/"):
            raise bad_link(name, "leads out of the model")
        todo += reversed(target.split("/"))
    return tuple(done)


def _target(fd: int, folder: list[str], part: str, name: str) -> str | None:
    """Return what the link `part` in `folder` says, or None if it is no link."""
    try:
        with _folder(fd, tuple(folder)) as parent:
            mode = os.stat(part, dir_fd=parent, follow_symlinks=False).st_mode
            return os.readlink(part, dir_fd=parent) if stat.S_ISLNK(mode) else None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise bad_link(name, "leads nowhere") from error


def opened(boundary: Boundary, path: Parts) -> tuple[int, int]:
    """Return a descriptor of the file or folder at `path`, which has no links, and its mode.

    Raises:
        FormatError: neither a regular file nor a folder ("special-file"). OSError: cannot open.
    """
    if not path:
        return os.open(".", _FOLDER, dir_fd=boundary.fd), stat.S_IFDIR
    with _folder(boundary.fd, path[:-1]) as fd:
        mode = os.stat(path[-1], dir_fd=fd, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            message = f"'{shown('/'.join(path))}' is not a regular file."
            raise FormatError("special-file", message, "Leave it out of the model.")
        flags = _FOLDER if stat.S_ISDIR(mode) else _FILE
        return os.open(path[-1], flags, dir_fd=fd), mode


@contextmanager
def _folder(root_fd: int, path: Parts) -> Iterator[int]:
    fd = open_folder(root_fd, path)
    try:
        yield fd
    finally:
        os.close(fd)


def bad_link(name: str, why: str) -> FormatError:
    """Return the refusal of the link `name`, which `why` tells."""
    return FormatError(
        "symlink",
        f"The symbolic link '{shown(name)}' {why}.",
        "Replace it by the file itself, or leave it out of the model.",
    )
