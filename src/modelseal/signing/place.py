# SPDX-License-Identifier: Apache-2.0
"""Where the bundle of a model that is signed goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from modelseal import outputs
from modelseal.model.bundles import BUNDLE_NAME, FILE_SUFFIX


@dataclass(frozen=True)
class Place:
    """A path to write to. Below the folder `untrusted`, if there is one, no link is followed."""

    path: Path
    untrusted: Path | None

    def check(self, *, overwrite: bool) -> None:
        """Check that it can be written.

        Raises:
            UsageError, FormatError, Undecided: as `outputs.check`.
        """
        outputs.check(self.path, overwrite=overwrite, untrusted=self.untrusted)


def place_of(path: Path, bundle: str | Path | None, *, is_folder: bool) -> Place:
    """Return where the first bundle of the model at `path` goes, or the `bundle` that was named.

    Whoever wrote the model could have put a link where the bundle goes, to any file of the signer,
    which would be overwritten. So links in a model folder, and one beside a model file, are not
    followed. A path elsewhere that the operator named is written as by any tool.
    """
    if bundle is None:
        beside = path.with_name(path.name + FILE_SUFFIX)
        return Place(path / BUNDLE_NAME, path) if is_folder else Place(beside, path.parent)
    place = Path(bundle)
    return Place(place, path if is_folder and _is_inside(place, path) else None)


def _is_inside(place: Path, folder: Path) -> bool:
    """Return whether `place` is in `folder`, by its name or after the links on the way to it."""
    real = Path(os.path.realpath(place.parent))
    named = Path(os.path.abspath(place)).parent  # noqa: PTH100 - Path.resolve would follow links
    return real.is_relative_to(os.path.realpath(folder)) or named.is_relative_to(
        os.path.abspath(folder)  # noqa: PTH100 - as above
    )
