# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model as it lies on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.formats import oms
from modelseal.model import tree
from modelseal.model.hashing import resources

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from modelseal.model.hashing import Progress
    from modelseal.model.stat_cache import StatCache

BUNDLE_NAME = "model.sig"
MOST_BUNDLES = 9  # signatures over one model
# Further signatures lie beside the first, by the order in which they were made.
BUNDLE_NAMES = frozenset({BUNDLE_NAME, *(f"{BUNDLE_NAME}.{n}" for n in range(2, MOST_BUNDLES + 1))})

# What model-signing leaves out at the top of a model by default: a checkout's own files.
DEFAULT_IGNORED = frozenset({".git", ".gitattributes", ".github", ".gitignore", BUNDLE_NAME})


def of_folder(
    path: Path,
    ignored: frozenset[str] = DEFAULT_IGNORED,
    progress: Progress | None = None,
    how: oms.Serialization | None = None,
    cache: StatCache | None = None,
    *,
    sizes: dict[str, int] | None = None,
) -> oms.Manifest:
    """Return the manifest of the folder `path`, without the `ignored` names.

    Files that look as the `cache` knows them are not read. `sizes` gets the bytes of each file.

    Raises:
        FormatError, Undecided, UsageError: see `tree.walk` and `hashing.resources`; an empty
            folder.
    """
    how = how or oms.Serialization()
    found: list[oms.Resource] = []
    read = cache.resources if cache else resources
    with tree.folder(path) as fd:
        for file in tree.walk(fd, ignored, follow=how.allow_symlinks):
            found += read(file, how, progress)
            if sizes is not None:
                sizes[file.name] = file.size
    return oms.manifest(found, tuple(ignored), how)


def of_file(
    path: Path,
    progress: Progress | None = None,
    how: oms.Serialization | None = None,
    cache: StatCache | None = None,
    *,
    sizes: dict[str, int] | None = None,
) -> oms.Manifest:
    """Return the manifest of the one file `path`, named by its base name; otherwise as above.

    Raises:
        FormatError, Undecided, UsageError: see `tree.single` and `hashing.resources`.
    """
    how = how or oms.Serialization()
    read = cache.resources if cache else resources
    with tree.single(path) as file:
        if sizes is not None:
            sizes[file.name] = file.size
        return oms.manifest(read(file, how, progress), (), how)


def within(folder: Path, paths: Iterable[Path]) -> frozenset[str]:
    """Return the names to leave out: the defaults, and those of `paths` that are in the folder."""
    root = folder.resolve()
    # Not resolve(): a link is left out itself, not what it leads to.
    there = (path.parent.resolve() / path.name for path in paths)
    names = {path.relative_to(root).as_posix() for path in there if path.is_relative_to(root)}
    return DEFAULT_IGNORED | (names - {"."})


def renamed(signed: oms.Manifest, name: str) -> oms.Manifest | None:
    """Return what `signed`, if it signs one file, says of that file under the name `name`.

    What the signer called a single file does not matter: a model may be renamed. None if it signs
    several files.
    """
    if len(signed.file_names()) != 1:
        return None
    same: tuple[oms.Resource, ...]
    if signed.serialization.shard_size is None:
        same = (oms.Resource(name, signed.resources[0].digest),)
    else:
        parts = ((oms.split_shard(r.name), r.digest) for r in signed.resources)
        same = tuple(
            sorted(oms.Resource(oms.shard_name(name, a, b), digest) for (_, a, b), digest in parts)
        )
    return oms.Manifest(same, signed.ignored, signed.serialization)
