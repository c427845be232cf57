# SPDX-License-Identifier: Apache-2.0
"""Where the bundle of a model is: beside a file, inside a folder."""

from __future__ import annotations

from pathlib import Path

from modelseal.errors import Unverified, shown
from modelseal.files import is_folder, there
from modelseal.model.manifest import BUNDLE_NAME

FILE_SUFFIX = ".sigstore.json"
OLD_FILE_SUFFIX = ".sigstore"  # sigstore-python 1 to 2


def find_bundle(path: Path, bundle: str | Path | None = None) -> Path:
    """Return where the bundle of the model at `path` is, or the `bundle` that was given.

    Raises:
        UsageError: no such model. Unverified: it has no bundle. Undecided: cannot tell.
    """
    folder = is_folder(path)
    if bundle is not None:
        candidates = [Path(bundle)]
    elif folder:
        candidates = [path / BUNDLE_NAME]
    else:
        candidates = [path.with_name(path.name + s) for s in (FILE_SUFFIX, OLD_FILE_SUFFIX)]
    for candidate in candidates:
        if there(candidate):
            return candidate
    raise Unverified(
        "unsigned",
        f"'{shown(str(path))}' has no signature at '{shown(str(candidates[0]))}'.",
        "Sign it with: modelseal sign, or say where the bundle is with --bundle.",
    )


def is_bundle_name(name: str) -> bool:
    """Return whether a file of this name is a bundle itself, not a model."""
    return name.endswith((FILE_SUFFIX, OLD_FILE_SUFFIX, ".sig"))
