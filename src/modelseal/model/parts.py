# SPDX-License-Identifier: Apache-2.0
"""Compare two files by what is inside them: the same three steps for every format.

A reader turns an open file into its parts, each with a digest over all that makes it what it is.
What is about the tensors and not one of them is a part too, with a name of its own.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, Undecided, shown
from modelseal.files import translated
from modelseal.model import tree
from modelseal.model.diff import ManifestDiff, differing
from modelseal.model.hashing import BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelseal.model.tree import OpenFile


class Part(NamedTuple):
    """A digest over a part's type, shape and bytes, and how many bytes it has."""

    digest: bytes
    size: int


def compare(old: Path, new: Path, read: Callable[[OpenFile], Mapping[str, Part]]) -> ManifestDiff:
    """Return by name which parts of two files changed, were added, are missing; `read` has them.

    Raises:
        FormatError: what `read` refuses. UsageError, Undecided: missing, unreadable, changed.
    """
    before, after = _read(old, read, "old"), _read(new, read, "new")
    sizes = ({name: part.size for name, part in parts.items()} for parts in (before, after))
    return differing(before, after, *sizes)


def _read(
    path: Path, read: Callable[[OpenFile], Mapping[str, Part]], which: str
) -> Mapping[str, Part]:
    try:
        with tree.single(path) as file, translated(file.name):
            return read(file)
    except FormatError as error:
        message = f"{error.message.removesuffix('.')} (the {which} one)."
        raise FormatError(error.code, message, error.hint) from error


def metadata_name(key: str) -> str:
    """Return the name of the part that is the metadata `key`."""
    return f"{key} (metadata)"


def joined(tensors: Mapping[str, Part], metadata: Mapping[str, Part]) -> dict[str, Part]:
    """Return both as parts, metadata under names of their own.

    Raises:
        FormatError: a tensor has the name of metadata, so one would hide the other.
    """
    named = {metadata_name(key): part for key, part in metadata.items()}
    if named.keys() & tensors.keys():
        raise FormatError("duplicate-name", "The file has a tensor with the name of its metadata.")
    return {**tensors, **named}


def digest(file: OpenFile, what: bytes, start: int, end: int) -> Part:
    """Return the part that lies from `start` to before `end` of the file and is a `what`.

    Raises:
        Undecided: the file is shorter than it was.
    """
    hasher = hashlib.sha256(len(what).to_bytes(8, "big") + what)
    size = end - start
    while start < end:
        data = exactly(file, start, min(BUFFER, end - start))
        hasher.update(data)
        start += len(data)
    return Part(hasher.digest(), size)


def exactly(file: OpenFile, start: int, count: int) -> bytes:
    """Return `count` bytes of the file from `start`, which the caller has bounded.

    Raises:
        Undecided: the file is shorter than it was.
    """
    data = b""
    while len(data) < count:
        more = os.pread(file.fd, count - len(data), start + len(data))
        if not more:
            message = f"'{shown(file.name)}' became shorter while it was read."
            raise Undecided("changed-while-reading", message)
        data = data + more if data else more
    return data
