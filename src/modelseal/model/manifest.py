# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model as it lies on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.formats import oms
from modelseal.model import tree
from modelseal.model.hashing import resources

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.hashing import Progress

BUNDLE_NAME = "model.sig"

# What model-signing leaves out at the top of a model by default: a checkout's own files.
DEFAULT_IGNORED = frozenset({".git", ".gitattributes", ".github", ".gitignore", BUNDLE_NAME})


def of_folder(
    path: Path,
    ignored: frozenset[str] = DEFAULT_IGNORED,
    progress: Progress | None = None,
    how: oms.Serialization | None = None,
) -> oms.Manifest:
    """Return the manifest of the folder `path`, without the `ignored` names.

    Raises:
        FormatError, Undecided, UsageError: see `tree.walk` and `hashing.resources`; an empty
            folder.
    """
    how = how or oms.Serialization()
    found: list[oms.Resource] = []
    with tree.folder(path) as fd:
        for file in tree.walk(fd, ignored, follow=how.allow_symlinks):
            found += resources(file, how, progress)
    return oms.manifest(found, tuple(ignored), how)


def of_file(
    path: Path, progress: Progress | None = None, how: oms.Serialization | None = None
) -> oms.Manifest:
    """Return the manifest of the one file `path`, named by its base name.

    Raises:
        FormatError, Undecided, UsageError: see `tree.single` and `hashing.resources`.
    """
    how = how or oms.Serialization()
    with tree.single(path) as file:
        return oms.manifest(resources(file, how, progress), (), how)


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
