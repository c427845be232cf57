# SPDX-License-Identifier: Apache-2.0
"""What to do about a model without a signature, going by what lies near it.

Whoever names the wrong place mostly misses by one folder: a folder of signed models, a file of a
signed folder. Others have a signature of another kind, or a bundle of another name. How much is
looked at is bounded, so a hint can be missing but is never wrong.
"""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.formats import bundle, kinds
from modelseal.model import tree
from modelseal.model.bundles import in_folder, signed_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEFAULT = "Sign it with: modelseal sign, or say where the bundle is with --bundle."
_KERNEL = "It looks like a kernel of the Hugging Face Hub: kernels verify-signature REPO VERSION"
_ENTRIES = 1000  # looked at in a folder
_FOLDERS = 200  # looked into
_PARENTS = 8  # levels up
_NAMED = 3  # in a hint
_READ = 8  # files that could sign it
_LIMIT = 1024 * 1024  # bytes of each
# What people call that which signs a file, after its name, and a folder, as the end of a name.
_SIGNING = (
    ".bundle", ".sig", ".asc", ".minisig", ".p7s", ".intoto.jsonl", ".jsonl", ".att", ".crt",
    ".cosign.bundle", ".sigstore.jsonl", ".signature", ".sigstore", ".sigstore.json",
)  # fmt: skip


def hint(path: Path, *, folder: bool) -> str:
    """Return what to do about the file or folder `path`, which has no signature."""
    try:
        found = _of_folder(path) if folder else _of_file(path)
        return found or _of_parents(path) or _DEFAULT
    except (ModelSealError, OSError):  # the hint is not worth an error of its own
        return _DEFAULT


def _of_folder(path: Path) -> str:
    if inner := list(islice(_signed_below(path), _NAMED + 1)):
        return _are_signed([str(one.relative_to(path)) for one in inner])
    names = {entry.name for entry in _entries(path)}
    files = sorted(file for one in names if (file := signed_name(one)) in names and file)
    if files == ["metadata.json"]:
        return _KERNEL
    if files:
        return _are_signed(files)
    return _of_other_kind(path / one for one in sorted(names) if one.endswith(_SIGNING))


def _of_file(path: Path) -> str:
    if path.is_file() and _is_bundle(_read(path)):
        return "It is a bundle itself: name the model that it signs."
    return _of_other_kind(path.with_name(path.name + suffix) for suffix in _SIGNING)


def _of_other_kind(files: Iterable[Path]) -> str:
    """Return what the first of `files` is that is known: a bundle, or a signature of another kind.

    Some of them need not be there.
    """
    for file in islice(filter(Path.is_file, files), _READ):
        name = shown(file.name, 80)
        data = _read(file)
        if kind := kinds.of(data):
            return f"'{name}' near it is {kind.name}. {kind.hint}"
        if _is_bundle(data):
            return f"'{name}' near it is a bundle: if it signs this, name it with --bundle."
    return ""


def _is_bundle(data: bytes) -> bool:
    try:
        bundle.parse(data)
    except FormatError:
        return False
    return True


def _read(path: Path) -> bytes:
    """Return the bytes of the small file at `path`, none of one that is large or unreadable."""
    try:
        return tree.read(path, _LIMIT, "file")
    except ModelSealError:
        return b""


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


def _are_signed(names: list[str]) -> str:
    named = ", ".join(f"'{shown(one, 80)}'" for one in names[:_NAMED])
    if len(names) > _NAMED:
        named += " and more"
    verb, those = ("is", "that") if len(names) == 1 else ("are", "those")
    return f"{named} in it {verb} signed: verify {those}, or all of them with --recursive."


def _short(path: Path) -> str:
    """Return `path` relative to the working directory, if it is in it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)
