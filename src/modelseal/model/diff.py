# SPDX-License-Identifier: Apache-2.0
"""What differs between the model that was signed and the model that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.formats.oms import Manifest

_NAMED = 3  # files named in a sentence; the value has them all


class ManifestDiff(NamedTuple):
    """File names, sorted: bytes differ, not signed but there, signed but not there."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.missing)

    def __str__(self) -> str:
        """Return one bounded line, such as "changed: a.bin; missing: b.bin, c.bin"."""
        groups = (("changed", self.changed), ("added", self.added), ("missing", self.missing))
        return "; ".join(f"{word}: {_listed(names)}" for word, names in groups if names)


def _listed(names: tuple[str, ...]) -> str:
    said = ", ".join(f"'{shown(n, 80)}'" for n in names[:_NAMED])
    return said if len(names) <= _NAMED else f"{said} and {len(names) - _NAMED} more"


def compare(signed: Manifest, actual: Manifest) -> ManifestDiff:
    """Return what `actual` differs in from `signed`, by name and digest."""
    want = {r.name: r.digest for r in signed.resources}
    have = {r.name: r.digest for r in actual.resources}
    return ManifestDiff(
        changed=tuple(sorted(n for n in want.keys() & have.keys() if want[n] != have[n])),
        added=tuple(sorted(have.keys() - want.keys())),
        missing=tuple(sorted(want.keys() - have.keys())),
    )
