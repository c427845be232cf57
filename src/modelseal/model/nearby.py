# SPDX-License-Identifier: Apache-2.0
"""What to do about a model without a signature, going by what is signed near it.

Whoever names the wrong place mostly misses by one folder: a folder of signed models, a file of a
signed folder. How much is looked at is bounded, so a hint can be missing but is never wrong.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import ModelSealError, shown
from modelseal.model.bundles import in_folder, signed_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT = "Sign it with: modelseal sign, or say where the bundle is with --bundle."
_ENTRIES = 1000  # looked at in a folder
_FOLDERS = 200  # looked into
_PARENTS = 8  # levels up
_NAMED = 3  # in a hint


def hint(path: Path, *, folder: bool) -> str:
    """Return what to do about the file or folder `path`, which has no signature."""
    try:
        found = _of_folder(path) if folder else ""
        return found or _of_parents(path) or _DEFAULT
    except (ModelSealError, OSError):  # the hint is not worth an error of its own
        return _DEFAULT


def _of_folder(path: Path) -> str:
    inner = [one.relative_to(path) for one in islice(_signed_below(path), _NAMED + 1)]
    if inner:
        return _are_signed(inner)
    names = {entry.name for entry in _entries(path)}
    files = sorted(file for one in names if (file := signed_name(one)) is not None)
    files = [file for file in files if file in names]
    if files:
        return _are_signed([Path(file) for file in files])
    return ""


def _of_parents(path: Path) -> str:
    for parent in islice(path.absolute().parents, _PARENTS):
        if in_folder(parent, _ENTRIES).names:
            return f"It is a part of the signed model '{shown(_short(parent))}': verify that."
    return ""


def _signed_below(path: Path) -> Iterator[Path]:
    """Yield the signed folders in `path` and, as hubs lay them out by owner, in its folders."""
    left = _FOLDERS
    for outer in _folders(path):
        if in_folder(outer, _ENTRIES).names:
            yield outer
            continue
        for inner in _folders(outer):
            left -= 1
            if left < 0:
                return
            if in_folder(inner, _ENTRIES).names:
                yield inner


def _folders(path: Path) -> list[Path]:
    return sorted(path / e.name for e in _entries(path) if e.is_dir(follow_symlinks=False))


def _entries(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return list(islice(entries, _ENTRIES))


def _are_signed(paths: list[Path]) -> str:
    named = ", ".join(f"'{shown(str(one), 80)}'" for one in paths[:_NAMED])
    if len(paths) > _NAMED:
        named += " and more"
    verb, those = ("is", "that") if len(paths) == 1 else ("are", "those")
    return f"{named} in it {verb} signed: verify {those}."


def _short(path: Path) -> str:
    """Return `path` relative to the working directory, if it is in it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
