# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model as it lies on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.formats import oms
from modelseal.model import tree
from modelseal.model.hashing import digest

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.hashing import Progress

BUNDLE_NAME = "model.sig"

# What model-signing leaves out at the top of a model by default: a checkout's own files.
DEFAULT_IGNORED = frozenset({".git", ".gitattributes", ".github", ".gitignore", BUNDLE_NAME})


def of_folder(
    path: Path, ignored: frozenset[str] = DEFAULT_IGNORED, progress: Progress | None = None
) -> oms.Manifest:
    """Return the manifest of the folder `path`, without the `ignored` names.

    Raises:
        FormatError, Undecided, UsageError: see `tree.walk` and `hashing.digest`; an empty folder.
    """
    with tree.folder(path) as fd:
        found = [oms.Resource(file.name, digest(file, progress)) for file in tree.walk(fd, ignored)]
    return oms.manifest(found, tuple(ignored))


def of_file(path: Path, progress: Progress | None = None) -> oms.Manifest:
    """Return the manifest of the one file `path`, named by its base name.

    Raises:
        FormatError, Undecided, UsageError: see `tree.single` and `hashing.digest`.
    """
    with tree.single(path) as file:
        return oms.manifest([oms.Resource(file.name, digest(file, progress))])
