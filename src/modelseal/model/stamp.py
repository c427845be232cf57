# SPDX-License-Identifier: Apache-2.0
"""What the file system says of a folder, to tell at little cost whether it may have changed."""

from __future__ import annotations

import hashlib
import os
import stat
from itertools import islice
from typing import TYPE_CHECKING

from modelseal.errors import FormatError
from modelseal.model import links, tree

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def of_folder(path: Path, most: int = tree.MAX_FILES) -> bytes:
    """Return a digest over what the file system says of all that is in the folder.

    With a smaller number of entries than it has, `most`, it is over just so many of them: the
    folder then costs no more than a small one, and a change elsewhere in it goes unseen.

    Two equal stamps mean that nobody without tricks changed the folder in between. Good enough to
    skip work that only informs; never a reason to load bytes that were not hashed. What no model
    may have, such as a FIFO or a folder that cannot be read, is in the digest like any file, so
    that such a folder is refused once and not looked through again and again.

    Raises:
        FormatError, UsageError, Undecided: the folder itself cannot be opened; see `tree.folder`.
    """
    with tree.folder(path) as root:
        return _Stamp(root, most).taken()


class _Stamp:
    """One stamp, while it is taken."""

    def __init__(self, root: tree.Root, most: int) -> None:
        self._root = root
        self._most = most
        self._hasher = hashlib.sha256()
        self._met = 0

    def taken(self) -> bytes:
        self._add_folder(self._root.fd, self._root.boundary.model, depth=0)
        return self._hasher.digest()

    def _add_folder(self, fd: int, path: links.Parts, depth: int) -> None:
        """Add what is in the folder `fd`, which is at `path` below the boundary."""
        try:
            with os.scandir(fd) as entries:
                # The walk refuses a larger folder than `MAX_FILES`, so the rest cannot matter.
                few = islice(entries, self._most - self._met)
                found = sorted(few, key=lambda entry: entry.name)
        except OSError as error:
            self._add("unreadable", error.errno)
            return
        for entry in found:
            self._met += 1
            if self._met > self._most:
                return
            self._add_entry(entry, fd, path, depth)
        self._add("end")  # a file is not the same beside a folder as in it

    def _add_entry(self, entry: os.DirEntry[str], fd: int, path: links.Parts, depth: int) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
            self._add(entry.name, *_numbers(status))
            if stat.S_ISREG(status.st_mode):
                return
            if stat.S_ISLNK(status.st_mode):
                self._add(os.readlink(entry.name, dir_fd=fd))
                if self._root.is_linked:
                    self._add_target((*path, entry.name))
            elif stat.S_ISDIR(status.st_mode) and depth <= tree.MAX_DEPTH:
                inner = os.open(entry.name, _FOLDER, dir_fd=fd)
                try:
                    self._add_folder(inner, (*path, entry.name), depth + 1)
                finally:
                    os.close(inner)
        except OSError as error:
            self._add(entry.name, "unreadable", error.errno)

    def _add_target(self, link: links.Parts) -> None:
        """Add what a link of a Hub's cache leads to: a file that is not in the folder itself."""
        boundary = self._root.boundary
        try:
            fd, mode = links.opened(boundary, links.resolved(boundary, link, link[-1]))
        except FormatError as error:
            self._add(error.message)
            return
        try:
            self._add(*_numbers(os.fstat(fd)))
            if stat.S_ISDIR(mode):
                self._add(os.urandom(16))  # what is in it is not looked at: it may have changed
        finally:
            os.close(fd)

    def _add(self, *values: object) -> None:
        self._hasher.update(repr(values).encode())


def _numbers(found: os.stat_result) -> tuple[int, ...]:
    what = (found.st_mode, found.st_dev, found.st_ino, found.st_size)
    return (*what, found.st_mtime_ns, found.st_ctime_ns)
