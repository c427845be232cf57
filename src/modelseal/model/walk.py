# SPDX-License-Identifier: Apache-2.0
"""Walk a hostile folder: find every regular file of a model, folder by folder, and open none.

Folders are opened by descriptor with O_NOFOLLOW, so that nobody who can rename inside the model
can lead the walk out of it. Links (unless they are to be followed), FIFOs, sockets and devices are
refused by what their folder says they are. Whoever opens a file checks it again, see `small_files`.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError
from modelseal.files import translated
from modelseal.formats import oms
from modelseal.model import links, names, tree
from modelseal.model.scope import EVERYTHING
from modelseal.model.small_files import open_file, open_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from modelseal.model.links import Parts
    from modelseal.model.scope import Scope

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Files(NamedTuple):
    """Regular files of one folder, or of one that links lead to.

    `folder` is its path below the boundary of the model, without links. `names` are the names of
    the files in the model, and `parts` what the folder calls them, in the same order.
    """

    folder: Parts
    names: list[str]
    parts: list[str]

    def only(self, wanted: Callable[[str], bool]) -> Files:
        """Return those whose names are `wanted`."""
        pairs = [pair for pair in zip(self.names, self.parts, strict=True) if wanted(pair[0])]
        return Files(self.folder, [name for name, _ in pairs], [part for _, part in pairs])


def walk(
    root: tree.Root, scope: Scope = EVERYTHING, ignored: list[str] | None = None
) -> Iterator[Files]:
    """Yield the regular files of the model that are in `scope`.

    `ignored` gets the names of what is there unsigned and may be.

    Raises:
        FormatError: a link that is not to be followed, leads out of the model, nowhere or in a
            circle; a special file, a name that is not UTF-8, too many files, too deep.
        Undecided: unreadable or changed meanwhile.
    """
    if root.only is not None:
        *folder, part = root.only.path
        return iter((Files(tuple(folder), [root.only.name], [part]),))
    walker = _Walker(root, scope, [] if ignored is None else ignored)
    return walker.below(root.fd, "", (root.boundary.model,))


def opened(root: tree.Root, listing: Iterable[Files]) -> Iterator[tree.OpenFile]:
    """Yield the files in `listing`, each open until the next is asked for.

    Raises:
        FormatError, UsageError, Undecided: one cannot be opened, or is no regular file any more.
    """
    for files in listing:
        with translated(files.names[0]):
            folder = open_folder(root.boundary.fd, files.folder)
        try:
            for name, part in zip(files.names, files.parts, strict=True):
                with translated(name):
                    fd, status = open_file(folder, part)
                try:
                    yield tree.OpenFile(name, fd, status.st_size)
                finally:
                    os.close(fd)
        finally:
            os.close(folder)


def statuses(root: tree.Root, files: Files) -> dict[str, os.stat_result]:
    """Return the status of each of the `files` by its name in the model; none is opened.

    Raises:
        FormatError, Undecided: one is not there any more, or no regular file.
    """
    found = {}
    with translated(files.names[0]):
        folder = open_folder(root.boundary.fd, files.folder)
    try:
        for name, part in zip(files.names, files.parts, strict=True):
            with translated(name):
                status = os.stat(part, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise tree.changed(name)
            found[name] = status
    finally:
        os.close(folder)
    return found


class _Walker:
    """One walk: what stays the same all the way down, and how much was met."""

    def __init__(self, root: tree.Root, scope: Scope, ignored: list[str]) -> None:
        self._boundary = root.boundary
        self._follow = scope.follow_links or root.is_linked
        self._scope = scope
        self._ignored = ignored
        self._signed = frozenset(scope.signed or ())  # whose names were checked with the manifest
        self._met = 0

    def below(self, fd: int, prefix: str, real: tuple[Parts, ...]) -> Iterator[Files]:
        """Yield the files below the folder `fd`; `real` are the folders on the way, links solved.

        The last of `real` is this one.
        """
        if prefix.count("/") > tree.MAX_DEPTH:
            raise FormatError("too-deep", f"The model has folders more than {tree.MAX_DEPTH} deep.")
        plain = Files(real[-1], [], [])
        others = []
        with translated(prefix or "the model folder"):
            with os.scandir(fd) as entries:
                found = sorted(islice(entries, tree.MAX_FILES + 1), key=_part)
            for entry in found:
                part = entry.name
                name = prefix + part if part.isascii() else self._name(entry, prefix)
                if name is None or name in self._scope.skip:
                    continue
                self._met += 1  # folders too: links can make many of few
                if self._met > tree.MAX_FILES:
                    message = f"The model has more than {tree.MAX_FILES} files."
                    raise FormatError("too-many-files", message)
                if name not in self._signed:
                    oms.check_name(name)
                if not entry.is_file(follow_symlinks=False):
                    others.append((name, entry))
                elif not self._is_ignored(name, entry):
                    plain.names.append(name)
                    plain.parts.append(part)
        if plain.names:
            yield plain
        for name, entry in others:
            yield from self._other(name, entry, fd, real)

    def _name(self, entry: os.DirEntry[str], prefix: str) -> str | None:
        """Return the name in the model of `entry` in the folder `prefix`.

        None if no manifest has such a name and it may be there unsigned.
        """
        try:
            return prefix + names.from_disk(entry.name)
        except FormatError:
            if not self._is_ignored(prefix + entry.name, entry):
                raise
            return None

    def _is_ignored(self, name: str, entry: os.DirEntry[str]) -> bool:
        if not self._scope.ignore_unsigned:
            return False
        # A link may stand for a file or a folder.
        link = entry.is_symlink()
        kinds = (True, False) if link else (entry.is_dir(follow_symlinks=False),)
        ignored = any(self._scope.ignores(name, folder=folder) for folder in kinds)
        if ignored:
            self._ignored.append(name)
        return ignored

    def _other(
        self, name: str, entry: os.DirEntry[str], fd: int, real: tuple[Parts, ...]
    ) -> Iterator[Files]:
        """Yield what there is at `entry` of the folder `fd`, which is no regular file itself."""
        if self._is_ignored(name, entry):
            return
        found = self._opened(fd, entry.name, name, (*real[-1], entry.name))
        if found is None:
            return
        inner, mode, where = found
        try:
            if not stat.S_ISDIR(mode):  # what a link leads to
                yield Files(where[:-1], [name], [where[-1]])
            elif where in real:
                raise links.bad_link(name, "leads in a circle")
            else:
                yield from self.below(inner, name + "/", (*real, where))
        finally:
            os.close(inner)

    def _opened(self, fd: int, part: str, name: str, where: Parts) -> tuple[int, int, Parts] | None:
        """Return `part` of the folder `fd` open, its mode, and where it is when links are solved.

        None if it is to be passed over.
        """
        with translated(name):
            status = os.stat(part, dir_fd=fd, follow_symlinks=False)
            mode = status.st_mode
            if name == tree.LOST_AND_FOUND and _is_roots_own(status):
                return None
            if self._follow and stat.S_ISLNK(mode):
                where = links.resolved(self._boundary, where, name)
                return *links.opened(self._boundary, where), where
            tree.check_kind(mode, name)
            if not stat.S_ISDIR(mode):
                raise tree.changed(name)  # it was no regular file when the folder was read
            return os.open(part, tree.FOLDER_FLAGS, dir_fd=fd), mode, where


def _part(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_roots_own(status: os.stat_result) -> bool:
    """Return whether this is what ext4 puts at the top of a volume, closed to all but root.

    Its owner and mode keep anybody else from putting something there for a loader to find. Root
    sees what is in it: usually nothing, and a file would be one that nobody signed.
    """
    closed = stat.S_ISDIR(status.st_mode) and not status.st_mode & _OTHERS
    return closed and status.st_uid == 0 != os.geteuid()
