# SPDX-License-Identifier: Apache-2.0
"""Symbolic links of a model that was signed with them: followed, but never out of the model.

The kernel follows none of them: every component is looked at and opened by itself, so that nobody
who can rename inside the model can lead the walk out of it.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    Parts = tuple[str, ...]  # the path of a file or folder below the root

_MAX_LINKS = 40  # on one way, as Linux has it
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def resolved(root_fd: int, link: Parts, name: str) -> Parts:
    """Return where `link` leads, as a path below the root without links.

    Raises:
        FormatError: out of the root, nowhere, or through too many links ("symlink").
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
        target = _target(root_fd, done, part, name)
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


def _target(root_fd: int, folder: list[str], part: str, name: str) -> str | None:
    """Return what the link `part` in `folder` says, or None if it is no link."""
    try:
        with _folder(root_fd, tuple(folder)) as fd:
            mode = os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode
            return os.readlink(part, dir_fd=fd) if stat.S_ISLNK(mode) else None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise bad_link(name, "leads nowhere") from error


def opened(root_fd: int, path: Parts) -> tuple[int, int]:
    """Return a descriptor of the file or folder at `path`, which has no links, and its mode.

    Raises:
        FormatError: neither a regular file nor a folder ("special-file"). OSError: cannot open.
    """
    if not path:
        return os.open(".", _FOLDER, dir_fd=root_fd), stat.S_IFDIR
    with _folder(root_fd, path[:-1]) as fd:
        mode = os.stat(path[-1], dir_fd=fd, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            message = f"'{shown('/'.join(path))}' is not a regular file."
            raise FormatError("special-file", message, "Leave it out of the model.")
        flags = _FOLDER if stat.S_ISDIR(mode) else _FILE
        return os.open(path[-1], flags, dir_fd=fd), mode


@contextmanager
def _folder(root_fd: int, path: Parts) -> Iterator[int]:
    fd = os.dup(root_fd)
    try:
        for part in path:
            inner = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = inner
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
