# SPDX-License-Identifier: Apache-2.0
"""Which names of a folder belong to a model: decided here, for whoever signs, verifies or admits.

Names are relative to the model and `/`-separated, as a manifest has them. A folder that is skipped
is skipped with all that is in it.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import UsageError, shown
from modelseal.files import exists
from modelseal.model import bundles, names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelseal.formats import oms

# What model-signing leaves out at the top of a model by default: a checkout's own files.
DEFAULT_IGNORED = frozenset({".git", ".gitattributes", ".github", ".gitignore"})

_GLOB = frozenset("*?[")  # no path to leave out may have one of these (spec 6.2.1)


class Scope(NamedTuple):
    """Which files of a folder are compared, copied or signed.

    `skip` are the names that are neither opened nor entered. With `follow_links`, links that stay
    inside the model stand for what they lead to. `signed` are the names of the files that were
    signed, sorted; None if it is still to be decided what is signed. Files that are not among them
    may be there if `ignore_unsigned` covers them; see `ignores`.
    """

    skip: frozenset[str] = frozenset()
    follow_links: bool = False
    signed: tuple[str, ...] | None = None
    ignore_unsigned: tuple[str, ...] = ()
    empty_files: bool = True  # false by shards, which have no place for a file without bytes

    def is_signed(self, name: str) -> bool:
        """Return whether the file `name` was signed, or is to be."""
        return self.signed is None or _has(self.signed, name)

    def ignores(self, name: str, *, folder: bool) -> bool:
        """Return whether the file or folder `name` may be there unsigned: it is not looked into.

        A pattern is a glob over the whole name in which `*` also stands for `/`: `*.tmp` covers
        `a/b.tmp`. A pattern that ends in `/` covers the folders of that name with all that is in
        them: `.cache/` covers `.cache/a/b` but not `sub/.cache/a`, which `*/.cache/` covers. A file
        that was signed is always compared, and a folder with such a file always entered.
        """
        if not self.ignore_unsigned or self.signed is None:
            return False
        if _has(self.signed, name) or _has_below(self.signed, name):
            return False
        return any(
            fnmatchcase(name, pattern[:-1] if folder else pattern)
            for pattern in self.ignore_unsigned
            if pattern.endswith("/") == folder
        )


EVERYTHING = Scope()


def of_signed(
    signed: oms.Manifest,
    *,
    bundle_names: Iterable[str] = (),
    ignore_unsigned: Iterable[str] = (),
) -> Scope:
    """Return the scope of a model that was `signed`, to be compared in place or copied.

    Skipped are a checkout's own files and the bundles called `bundle_names` (see `bundles_in`),
    unless they, or something in them, were signed; and what the signer recorded as left out, so
    that a file which was both signed and left out is missing. A name of a bundle that the signer
    recorded does not count: that there is one does. Every other file that nobody signed is a
    difference, unless `ignore_unsigned` covers it.
    """
    listed = tuple(sorted(signed.file_names()))
    ignored = {name for name in signed.ignored if not bundles.is_folders_bundle(name)}
    usual = DEFAULT_IGNORED | {*bundle_names}
    unsigned = {name for name in usual if not _has(listed, name) and not _has_below(listed, name)}
    how = signed.serialization
    return Scope(
        frozenset(unsigned | ignored),
        how.allow_symlinks,
        listed,
        tuple(ignore_unsigned),
        empty_files=how.shard_size is None,
    )


def to_sign(
    folder: Path,
    ignored: Sequence[Path] = (),
    *,
    bundle: Path | None = None,
    follow_links: bool = False,
) -> Scope:
    """Return the scope of the model in `folder` that is about to be signed or listed.

    Skipped are a checkout's own files, the bundles that are there, the `bundle` that will be, and
    the paths in `ignored`. What is skipped is recorded in the signature.

    Raises:
        Undecided: cannot tell which bundles are there.
    """
    left_out = bundles_in(folder, bundle) | names_in(folder, ignored)
    return Scope(DEFAULT_IGNORED | {bundles.BUNDLE_NAME} | left_out, follow_links)


def unverified(folder: Path) -> Scope:
    """Return the scope of a model whose signatures do not count: all but its bundles.

    Raises:
        Undecided, FormatError: as `bundles_in`.
    """
    return Scope(DEFAULT_IGNORED | bundles_in(folder))


def bundles_in(folder: Path, given: Path | None = None) -> frozenset[str]:
    """Return the names of the bundles that are found in the model `folder`, and of a `given` one.

    Raises:
        Undecided: cannot tell which bundles are there. FormatError: a name is not UTF-8.
    """
    return bundles.bundle_names(folder) | names_in(folder, () if given is None else (given,))


def check_ignored(models: Sequence[Path], ignored: Iterable[Path]) -> None:
    """Check that each path to leave out is inside one of the folders `models`.

    One that can leave nothing out is a mistake: what it was to leave out would be signed. It need
    not exist, so that one command fits models with and without it.

    Raises:
        UsageError: it is somewhere else, or is a pattern ("bad-ignored-path").
    """
    for path in ignored:
        found = {name for model in models for name in names_in(model, (path,))}
        if _GLOB & set("".join(found or str(path))):
            raise _bad_ignored_path(path, "is a pattern, and each path is left out as it is")
        if not found:
            raise _bad_ignored_path(path, *_elsewhere(models, path))


def _elsewhere(models: Sequence[Path], path: Path) -> tuple[str, str]:
    """Return what is wrong with a `path` that is in none of the `models`, and what to do."""
    if any(_real_place(path) == Path(os.path.realpath(model)) for model in models):
        return "is the model itself", "Name files or folders inside it."
    for model in models:
        meant = model / path
        if not path.is_absolute() and names_in(model, (meant,)) and exists(meant):
            hint = f"Paths are relative to the working directory: give '{shown(str(meant))}'."
            return "is not inside the model", hint
    return "is not inside the model", "Name files or folders inside it."


def _bad_ignored_path(path: Path, why: str, hint: str = "") -> UsageError:
    message = f"The path to leave out '{shown(str(path))}' {why}."
    return UsageError(
        "bad-ignored-path", message, hint or "Name each path as it is, or the folder that it is in."
    )


def names_in(folder: Path, paths: Iterable[Path]) -> frozenset[str]:
    """Return the names that those of `paths` which are inside the model `folder` have in it."""
    places = [_real_place(path) for path in paths]
    root = os.path.realpath(folder) if places else ""
    found = set()
    for place in places:
        if place.is_relative_to(root):
            found.add(names.of_path(place.relative_to(root)))
    return frozenset(found - {"."})


def _real_place(path: Path) -> Path:
    """Return where `path` really is, a link in its last component left as it is."""
    if path.name in {"", ".."}:
        return Path(os.path.realpath(path))
    return Path(os.path.realpath(path.parent), path.name)


def _has(listed: tuple[str, ...], name: str) -> bool:
    place = bisect_left(listed, name)
    return place < len(listed) and listed[place] == name


def _has_below(listed: tuple[str, ...], folder: str) -> bool:
    place = bisect_left(listed, f"{folder}/")
    return place < len(listed) and listed[place].startswith(f"{folder}/")
