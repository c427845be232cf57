# SPDX-License-Identifier: Apache-2.0
"""The models in a tree of folders, signed or not, so that nothing is passed over in silence.

A folder with a bundle is a signed model, and is not looked into. A folder in which nothing is
signed, however deep, is one unsigned model. In the others every file is a model: signed, if a
bundle lies beside it, or unsigned. Links to folders are not followed. Names that begin with a dot
are passed over, as are empty folders and what belongs to a file system or to a hub's cache itself.
"""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.files import is_folder, translated
from modelseal.model import hub_cache
from modelseal.model.bundles import in_folder, signed_name

if TYPE_CHECKING:
    from pathlib import Path

_MAX_ENTRIES = 1_000_000  # of all folders that are looked into
_MAX_DEPTH = 64
_FILE_SYSTEM = {"lost+found"}
_LEGACY_SUFFIXES = (".sig", ".crt")  # beside FILE.sigstore, by sigstore-python 1 to 2


class _Found(NamedTuple):
    """The models at or below a folder, sorted, and whether one of them is signed."""

    models: tuple[Path, ...]
    signed: bool


def discover(root: Path) -> list[Path]:
    """Return the models at or below `root`, sorted; `root` itself if it is a file or holds none.

    A folder that cannot be read counts as a model, about which the verdict will say so.

    Raises:
        UsageError: no such folder. FormatError: too many entries, or too deep.
    """
    if not is_folder(root):
        return [root]
    return list(_Walk().at(root, 0).models) or [root]


class _Walk:
    """One walk, which counts what it met."""

    def __init__(self) -> None:
        self._left = _MAX_ENTRIES

    def at(self, folder: Path, depth: int) -> _Found:
        """Return the models at or below `folder`, which is so many folders deep."""
        if depth > _MAX_DEPTH:
            message = f"'{shown(str(folder))}' is more than {_MAX_DEPTH} folders deep."
            raise FormatError("too-deep", message, "Name a folder further down.")
        try:
            bundles = in_folder(folder)
            folders, files = _listed(folder, self._left + 1)
        except ModelSealError:  # unreadable, or gone
            return _Found((folder,), signed=False)
        if bundles.named or bundles.oms:
            return _Found((folder,), signed=True)
        self._left -= len(folders) + len(files)
        if self._left < 0:
            message = f"There are more than {_MAX_ENTRIES} files and folders."
            raise FormatError("too-many-files", message, "Name folders further down.")
        below = [self.at(folder / name, depth + 1) for name in folders]
        return _together(folder, files, below)


def _listed(folder: Path, most: int) -> tuple[list[str], set[str]]:
    """Return the names of the folders and of the files in `folder` that count."""
    folders, files = set(), set()
    with translated(str(folder)), os.scandir(folder) as entries:
        for entry in islice(entries, most):
            if entry.is_dir(follow_symlinks=False):
                folders.add(entry.name)
            elif not entry.is_dir():  # a link to a folder
                files.add(entry.name)
    passed_over = _FILE_SYSTEM | hub_cache.own_names(folder.name, folders)
    folders, files = (
        {name for name in names - passed_over if not name.startswith(".")}
        for names in (folders, files)
    )
    return sorted(folders), files


def _together(folder: Path, files: set[str], below: list[_Found]) -> _Found:
    """Return the models at or below `folder`, which has no bundle of its own."""
    bundles = {name: signed_name(name) for name in files}
    signed = {name for name in bundles.values() if name in files}
    models = [model for one in below for model in one.models]
    if not signed and not any(one.signed for one in below):
        return _Found((folder,) if files or models else (), signed=False)
    legacy = {f"{name}{suffix}" for name in signed for suffix in _LEGACY_SUFFIXES}
    own = (folder / name for name, of in bundles.items() if of is None and name not in legacy)
    return _Found(tuple(sorted([*models, *own])), signed=True)
