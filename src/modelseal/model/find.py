# SPDX-License-Identifier: Apache-2.0
"""Where the bundle of a model is: beside a file, inside a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import Unverified, UsageError, shown
from modelseal.files import is_folder, there
from modelseal.model.scope import BUNDLE_NAME, MOST_BUNDLES

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_SUFFIX = ".sigstore.json"
OLD_FILE_SUFFIX = ".sigstore"  # sigstore-python 1 to 2

_NUMBER = re.compile(rf"\.[2-{MOST_BUNDLES}]\Z")  # of a further signature


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
    if is_bundle_name(path.name):
        message = f"'{shown(str(path))}' is a signature, not a model."
        raise UsageError("not-a-model", message, "Name the model that it signs.")
    raise Unverified(
        "unsigned",
        f"'{shown(str(path))}' has no signature at '{shown(str(candidates[0]))}'.",
        "Sign it with: modelseal sign, or say where the bundle is with --bundle.",
    )


def find_bundles(path: Path, bundle: str | Path | None = None) -> Iterator[Path]:
    """Yield where the bundles of the model at `path` are, or just the `bundle` that was given.

    Further ones are looked for when they are asked for.

    Raises:
        UsageError: no such model. Unverified: it has no bundle. Undecided: cannot tell.
    """
    first = find_bundle(path, bundle)
    yield first
    if bundle is None:
        yield from filter(there, _further(first))


def next_bundle(first: Path) -> Path:
    """Return where to put a further signature beside the bundle `first`.

    Raises:
        UsageError: there are too many already. Undecided: cannot tell.
    """
    for one in (first, *_further(first)):
        if not there(one):
            return one
    message = f"'{shown(str(first))}' has {MOST_BUNDLES - 1} further signatures beside it."
    raise UsageError("too-many-signatures", message, "Remove those that are no longer needed.")


def _further(first: Path) -> tuple[Path, ...]:
    return tuple(first.with_name(f"{first.name}.{n}") for n in range(2, MOST_BUNDLES + 1))


def is_bundle_name(name: str) -> bool:
    """Return whether a file of this name is a bundle itself, not a model."""
    return _NUMBER.sub("", name).endswith((FILE_SUFFIX, OLD_FILE_SUFFIX, ".sig"))
