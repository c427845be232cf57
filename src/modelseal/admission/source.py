# SPDX-License-Identifier: Apache-2.0
"""The hostile side of an admission: the files of a model, listed, hashed, copied."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from modelseal.admission import copying
from modelseal.model import content, digests, tree, walk
from modelseal.model.digests import PLAIN
from modelseal.model.manifest import Contents, read
from modelseal.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from modelseal.formats import oms
    from modelseal.model.digests import Reading
    from modelseal.model.scope import Scope


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
        FormatError, Undecided: see `walk.walk` and `copying.copy`.
    """
    read_files = partial(copying.copy, root, how=how, into=into, reading=reading)
    return read(root, scope, how, read_files, reading.signed)
