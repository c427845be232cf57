# SPDX-License-Identifier: Apache-2.0
"""What the bundles of a model are called, if nobody says: beside a file, inside a folder.

Beside a file, in this order:

    FILE.sigstore.json       every Sigstore client, modelseal
    FILE.sigstore            sigstore-python 1 to 2

In a folder, in this order:

    model.sig                model_signing, modelseal
    model.sigstore.json      clients that name every bundle so
    result.sigstore          NVIDIA NGC
    .kaggle/signing.json     kagglehub
    NAME.oms.sig             NVIDIA's skills: the only file of such a name

Further signatures lie beside a first one as `model.sig.2` to `model.sig.9`. All that are there are
bundles of the model: at most 18 for a file, 13 for a folder.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import UsageError, shown
from modelseal.files import exists, is_folder, translated
from modelseal.model import names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUNDLE_NAME = "model.sig"
MOST_BUNDLES = 9  # of one name: the first and further signatures
FILE_SUFFIX = ".sigstore.json"
OLD_FILE_SUFFIX = ".sigstore"  # sigstore-python 1 to 2
OMS_SUFFIX = ".oms.sig"

_ENTRIES = 1_000_000  # looked at in a folder; a model has no more files
_KAGGLE_FOLDER = ".kaggle"
_KAGGLE_NAME = f"{_KAGGLE_FOLDER}/signing.json"
_NUMBERS = range(2, MOST_BUNDLES + 1)  # of further signatures
_NUMBER = re.compile(rf"\.[2-{MOST_BUNDLES}]\Z")
_FIXED_NAMES = (
    BUNDLE_NAME, *(f"{BUNDLE_NAME}.{n}" for n in _NUMBERS),
    "model.sigstore.json", "result.sigstore", _KAGGLE_NAME,
)  # fmt: skip
_LOOKED_FOR = frozenset({*_FIXED_NAMES, _KAGGLE_FOLDER})


class FolderBundles(NamedTuple):
    """The bundles in a folder, by their names relative to it; `named` have one of the fixed names.

    Of several `*.oms.sig` nobody can tell which one signs the folder, so none of them counts.
    """

    named: tuple[str, ...]
    oms: tuple[str, ...]  # *.oms.sig, sorted

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the bundles, in the order in which they are read."""
        return (*self.named, *self.oms) if len(self.oms) == 1 else self.named

    @property
    def ambiguous(self) -> bool:
        """Return whether there are only files of which nobody can tell which one is the bundle."""
        return not self.names and bool(self.oms)


def in_folder(folder: Path, most: int = _ENTRIES) -> FolderBundles:
    """Return which bundles are in `folder`, having looked at no more than `most` entries of it.

    A folder of such a name is a part of the model like any other. A link is a bundle: a model in
    the cache of a hub consists of links.

    Raises:
        UsageError, FormatError, Undecided: missing, no folder, unreadable.
    """
    with translated(str(folder)), os.scandir(folder) as entries:
        found = {
            entry.name: entry.is_dir()
            for entry in islice(entries, most)
            if entry.name in _LOOKED_FOR or entry.name.endswith(OMS_SUFFIX)
        }
    kaggle = folder / _KAGGLE_NAME
    if found.get(_KAGGLE_FOLDER) and is_folder(kaggle.parent) and exists(kaggle):
        found[_KAGGLE_NAME] = is_folder(kaggle)
    files = {name for name, is_dir in found.items() if not is_dir}
    return FolderBundles(
        named=tuple(name for name in _FIXED_NAMES if name in files),
        oms=tuple(sorted(name for name in files if name.endswith(OMS_SUFFIX))),
    )


def beside_file(path: Path) -> Iterator[Path]:
    """Yield where the bundles of the file at `path` can be, in the order in which they are read.

    They need not be there.
    """
    for suffix in (FILE_SUFFIX, OLD_FILE_SUFFIX):
        yield from _numbered(path.with_name(path.name + suffix))


def bundle_names(folder: Path) -> frozenset[str]:
    """Return the names, as a manifest has them, of the bundles in the model `folder`.

    They are no part of the model, unless it was signed with them. Whatever else is called like a
    bundle is a part of it.

    Raises:
        UsageError, FormatError, Undecided: missing, no folder, unreadable; a name is not UTF-8.
    """
    return frozenset(map(names.from_disk, in_folder(folder).names))


def next_bundle(first: Path) -> Path:
    """Return where to put a further signature beside the bundle `first`.

    Raises:
        UsageError: there are too many already. Undecided: cannot tell.
    """
    for one in _numbered(first):
        if not exists(one):
            return one
    message = f"'{shown(str(first))}' has {len(_NUMBERS)} further signatures beside it."
    raise UsageError("too-many-signatures", message, "Remove those that are no longer needed.")


def is_folders_bundle(name: str) -> bool:
    """Return whether `name`, relative to a folder, is what the folder's bundle can be called."""
    return name in _FIXED_NAMES or (name.endswith(OMS_SUFFIX) and "/" not in name)


def is_bundle_name(name: str) -> bool:
    """Return whether a file of this name is a bundle, going by the name alone."""
    return _NUMBER.sub("", name).endswith((FILE_SUFFIX, OLD_FILE_SUFFIX, ".sig"))


def signed_name(name: str) -> str | None:
    """Return the name of the file that a bundle called `name` signs; None if it names no file."""
    name = _NUMBER.sub("", name)
    for suffix in (FILE_SUFFIX, OLD_FILE_SUFFIX):
        if name.endswith(suffix):
            return name.removesuffix(suffix) or None
    return None


def _numbered(first: Path) -> Iterator[Path]:
    yield first
    for number in _NUMBERS:
        yield first.with_name(f"{first.name}.{number}")
