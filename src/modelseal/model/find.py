# SPDX-License-Identifier: Apache-2.0
"""Find the bundles of a model, or say why there is none; `bundles` has what they are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import ModelSealError, Unverified, UsageError, shown
from modelseal.files import exists, is_folder
from modelseal.model.bundles import (
    BUNDLE_NAME,
    OMS_SUFFIX,
    beside_file,
    in_folder,
    is_bundle_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED = 3  # files named in a sentence


def find_bundles(path: Path, bundle: str | Path | None = None) -> Iterator[Path]:
    """Yield where the bundles of the model at `path` are, or just the `bundle` that was given.

    They come in the order that `bundles` documents.

    Raises:
        UsageError: no such model. Unverified: it has no bundle ("unsigned"), or nobody can tell
            which file is its bundle ("ambiguous-bundle"). Undecided: cannot tell.
    """
    folder = is_folder(path)
    if bundle is not None:
        found = iter([Path(bundle)] if exists(Path(bundle)) else [])
    elif folder:
        found = _in_folder(path)
    else:
        found = filter(exists, beside_file(path))
    first = next(found, None)
    if first is None:
        raise _unsigned(path, bundle, folder=folder)
    yield first
    yield from found


def _in_folder(path: Path) -> Iterator[Path]:
    found = in_folder(path)
    if found.ambiguous:
        named = ", ".join(f"'{shown(name, 80)}'" for name in found.oms[:_NAMED])
        raise Unverified(
            "ambiguous-bundle",
            f"'{shown(str(path))}' has {len(found.oms)} files *{OMS_SUFFIX}, such as {named}.",
            "Leave only the one that signs this folder.",
        )
    return (path / name for name in found.names)


def _unsigned(path: Path, bundle: str | Path | None, *, folder: bool) -> ModelSealError:
    name = shown(str(path))
    if bundle is not None:
        where, hint = Path(bundle), "Check the path of --bundle."
    elif not folder and is_bundle_name(path.name):
        message = f"'{name}' is a signature, not a model."
        return UsageError("not-a-model", message, "Name the model that it signs.")
    else:
        from modelseal.model import nearby  # noqa: PLC0415 - only for models without a signature

        where = path / BUNDLE_NAME if folder else next(beside_file(path))
        hint = nearby.hint(path, folder=folder)
    return Unverified("unsigned", f"'{name}' has no signature at '{shown(str(where))}'.", hint)
