# SPDX-License-Identifier: Apache-2.0
"""What differs between the model that was signed and the model that is there, and how it reads."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from modelseal.errors import shown
from modelseal.formats import oms
from modelseal.model import lfs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelseal.model.manifest import Contents

    Word = Literal["changed", "added", "missing"]

_NAMED = 3  # files of each kind named in a sentence; the value has them all
LISTED = 20  # of each kind in a listing
_KILO = 1000
_ROUNDED_UP = 999.5  # has four figures when it is rounded to three
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


class Sizes(NamedTuple):
    """The bytes that the file `name` had and has; None is unknown, or that it is not there."""

    name: str
    old: int | None
    new: int | None

    def __str__(self) -> str:
        """Return the sizes for people, such as "1.2 MB -> 1.3 MB"; empty if both are unknown."""
        if self.old is None or self.new is None:
            only = self.new if self.old is None else self.old
            return "" if only is None else size_text(only)
        before, after = size_text(self.old), size_text(self.new)
        if self.old == self.new:
            return after
        if before == after:  # as rounded
            before, after = f"{self.old:,} B", f"{self.new:,} B"
        return f"{before} -> {after}"


class ManifestDiff(NamedTuple):
    """File names, sorted: bytes differ, not signed but there, signed but not there.

    `sizes` has an entry for each of them, sorted, unless nobody asked for sizes. Manifests by files
    have no sizes, so what a signed file measured is known only by shards. `ignored_unsigned` are
    files and folders that nobody signed but that may be there, so they are no difference. Of the
    changed files, `pointers` are Git LFS pointers now, and of `signed_pointers` the pointer was
    signed and not the content that is there now. `unread` counts the signed files that nobody
    compared, because another one had settled that the model is not what was signed.
    """

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    sizes: tuple[Sizes, ...] = ()
    ignored_unsigned: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    signed_pointers: tuple[str, ...] = ()
    unread: int = 0

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.missing or self.unread)

    @property
    def only_added(self) -> bool:
        """Return whether every signed file is as it was signed, and there are others beside."""
        return bool(self.added) and not (self.changed or self.missing or self.unread)

    def __str__(self) -> str:
        """Return one bounded line, such as "changed: 'a.bin'; missing: 'b', 'c'"; without sizes."""
        found = [f"{word}: {listed(names)}" for word, names in self.groups() if names]
        return "; ".join([*found, f"not read: {self.unread:,}"] if self.unread else found)

    def groups(self) -> tuple[tuple[Word, tuple[str, ...]], ...]:
        """Return the names by what is the matter with them, in the order in which it is told."""
        return ("changed", self.changed), ("added", self.added), ("missing", self.missing)

    def listing(self, most: int = LISTED) -> Iterator[tuple[Word, Sizes | int]]:
        """Yield up to `most` files of each kind, then how many more of that kind there are."""
        known = self._sizes()
        for word, names in self.groups():
            for name in names[:most]:
                yield word, known[name]
            if len(names) > most:
                yield word, len(names) - most

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values: names by kind, and the sizes by name, null where unknown."""
        groups: dict[str, Any] = {word: list(names) for word, names in self.groups()}
        sizes = {one.name: {"old": one.old, "new": one.new} for one in self._sizes().values()}
        lists = {
            "ignored_unsigned": self.ignored_unsigned,
            "lfs_pointers": self.pointers,
            "signed_lfs_pointers": self.signed_pointers,
        }
        plain = {key: list(names) for key, names in lists.items()}
        return {**groups, "sizes": sizes, **plain, "unread": self.unread}

    def _repr_html_(self) -> str:
        """Return a bounded table; without the column of old sizes if none is known."""
        listing = list(self.listing())
        if not listing:
            return ""
        from modelseal import notebook  # noqa: PLC0415 - 2 ms that only notebooks need

        old = any(one.old is not None for _, one in listing if not isinstance(one, int))
        rows = (_html_cells(word, one, with_old=old) for word, one in listing)
        return notebook.table(
            rows, ("", "file", *map(notebook.number, (("was",) if old else ()) + ("is",)))
        )

    def _sizes(self) -> dict[str, Sizes]:
        known = {one.name: one for one in self.sizes}
        names = (name for _, group in self.groups() for name in group)
        return {name: known.get(name) or Sizes(name, None, None) for name in names}


def size_text(size: int) -> str:
    """Return `size` in bytes for people: three figures and a unit of powers of a thousand."""
    if size < _KILO:
        return f"{size} B"
    value, units = size / _KILO, iter(_UNITS)
    unit = next(units)
    while value >= _ROUNDED_UP and unit != _UNITS[-1]:
        value, unit = value / _KILO, next(units)
    return f"{value:.3g} {unit}"


def listed(names: tuple[str, ...]) -> str:
    """Return the first few of `names` for a sentence."""
    said = ", ".join(f"'{shown(name, 80)}'" for name in names[:_NAMED])
    return said if len(names) <= _NAMED else f"{said} and {len(names) - _NAMED:,} more"


def _html_cells(word: Word, one: Sizes | int, *, with_old: bool) -> tuple[str, ...]:
    from modelseal import notebook  # noqa: PLC0415 - as above

    if isinstance(one, int):
        return (word, f"and {one:,} more", *("",) * (1 + with_old))
    sizes = (one.old, one.new) if with_old else (one.new,)
    return (
        word,
        notebook.code(one.name),
        *(notebook.number("" if n is None else f"{n:,} B") for n in sizes),
    )


def compare(signed: Contents, actual: Contents) -> ManifestDiff:
    """Return what `actual` differs in from `signed`, by the names of files and their digests.

    Both must be serialized in the same way. Of what was signed often no sizes are known; shards say
    themselves how large the files are.
    """
    if signed.manifest.resources == actual.manifest.resources:
        return ManifestDiff(ignored_unsigned=actual.ignored_unsigned)
    want, wanted = _by_file(signed)
    want = {name: digest for name, digest in want.items() if name not in actual.unread}
    have, measured = _by_file(actual)
    found = differing(want, have, wanted, measured)
    return found._replace(
        ignored_unsigned=actual.ignored_unsigned,
        unread=len(actual.unread),
        pointers=tuple(n for n in found.changed if n in actual.pointers - signed.pointers),
        signed_pointers=tuple(sorted(_signed_pointers(found.changed, signed, actual))),
    )


def _signed_pointers(changed: tuple[str, ...], signed: Contents, actual: Contents) -> set[str]:
    """Return of which of the `changed` files the pointer was signed and the content is there.

    If only digests are known of what was signed, they must be by files with SHA-256, by which a
    pointer names its content.
    """
    found = {name for name in changed if name in signed.pointers - actual.pointers}
    how = signed.manifest.serialization
    if (how.hash_type, how.shard_size) == ("sha256", None):
        want, have = dict(signed.manifest.resources), dict(actual.manifest.resources)
        for name in changed:
            if name in actual.sizes:
                pointer = lfs.pointer_to(have[name], actual.sizes[name])
                found |= {name} if hashlib.sha256(pointer).digest() == want[name] else set()
    return found


def differing(
    want: Mapping[str, object],
    have: Mapping[str, object],
    old_sizes: Mapping[str, int],
    sizes: Mapping[str, int],
) -> ManifestDiff:
    """Return what differs between two mappings from a name to what identifies its bytes."""
    changed = sorted(n for n in want.keys() & have.keys() if want[n] != have[n])
    added = sorted(have.keys() - want.keys())
    missing = sorted(want.keys() - have.keys())
    both = (
        Sizes(
            name,
            old_sizes.get(name) if name in want else None,
            sizes.get(name) if name in have else None,
        )
        for name in sorted([*changed, *added, *missing])
    )
    return ManifestDiff(tuple(changed), tuple(added), tuple(missing), tuple(both))


def _by_file(contents: Contents) -> tuple[Mapping[str, object], Mapping[str, int]]:
    """Return the digests by file, of shards all those of the file, and the sizes of the files."""
    found = contents.manifest
    if found.serialization.shard_size is None:
        return dict(found.resources), contents.sizes
    digests: dict[str, dict[tuple[int, int], bytes]] = {}
    ends: dict[str, int] = {}
    for resource in found.resources:
        file, start, end = oms.split_shard(resource.name)
        digests.setdefault(file, {})[start, end] = resource.digest
        ends[file] = max(end, ends.get(file, 0))
    return digests, {**ends, **contents.sizes}
