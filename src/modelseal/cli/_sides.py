# SPDX-License-Identifier: Apache-2.0
"""The two sides of `modelseal diff`: a model is hashed, a list of digests is believed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modelseal.cli._run import note
from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import is_folder, is_stream, read_trusted
from modelseal.formats import bundle, oms
from modelseal.model import listing, manifest, names, scope, tree
from modelseal.model.diff import ManifestDiff, compare
from modelseal.model.manifest import Contents

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.digests import Reading


def compared(old: Path, new: Path, reading: Reading) -> tuple[ManifestDiff, bool]:
    """Return what differs, and whether both sides are models, whose files can be looked into.

    A list is compared with a model that is hashed as the list says; two models are hashed by files.

    Raises:
        UsageError: they cannot be compared ("not-comparable"), or one is missing.
        FormatError, Undecided: one cannot be read as a model.
    """
    lists = _listed(old), _listed(new)
    given = lists[0] or lists[1]
    if given is None and is_folder(old) != is_folder(new):
        raise _not_comparable("One is a folder, the other a file that lists none.")
    before = lists[0] or _hashed(old, given, new, reading)
    after = lists[1] or _hashed(new, given, old, reading)
    ways = [side.manifest.serialization for side in (before, after)]
    if (ways[0].hash_type, ways[0].shard_size) != (ways[1].hash_type, ways[1].shard_size):
        raise _not_comparable("The two lists have different hashes or shards.")
    if None in lists and not is_folder(old) and not is_folder(new):
        # A file is compared whatever it is called: a model may be renamed.
        before, after = (_renamed(side, names.from_disk(new.name)) for side in (before, after))
    differs = compare(before, after)
    return differs, given is None


def _listed(path: Path) -> Contents | None:
    """Return what the file at `path` lists, None if it is a model itself."""
    if is_stream(path):  # such as `<(modelseal digest ...)`
        return _only_listed(path)
    if is_folder(path):
        return None
    with tree.single(path) as file:
        if os.pread(file.fd, 1, 0) != b"{" or file.size > listing.LIMIT:
            return None  # large models are not read to find that out
    data = tree.read(path, listing.LIMIT, "list of digests")
    found = _parsed(data)
    if found is not None:  # said, because the file itself could be what was to be compared
        note(f"note: '{shown(str(path))}' stands for the files that it lists, believed unchecked")
    return found


def _only_listed(path: Path) -> Contents:
    found = _parsed(read_trusted(path, listing.LIMIT, "list of digests"))
    if found is None:
        raise _not_comparable(f"'{shown(str(path))}' lists no digests.")
    return found


def _parsed(data: bytes) -> Contents | None:
    """Return the list, or what the bundle claims; None for other JSON, a model like any other."""
    try:
        return listing.parse(data)
    except FormatError:
        pass
    from modelseal.verification.claim import claimed

    try:
        return Contents(claimed(bundle.parse(data))[1])
    except FormatError:
        return None


def _hashed(path: Path, given: Contents | None, other: Path, reading: Reading) -> Contents:
    """Return what is at `path`, hashed as the `given` list of the `other` side says."""
    how = given.manifest.serialization if given else oms.Serialization()
    if not is_folder(path):
        return manifest.of_file(path, how, reading)
    names = given.manifest.file_names() if given else frozenset()
    if names == {oms.SINGLE_FILE}:
        raise _not_comparable("One is a folder, the other lists a single file.")
    if given is None:
        return manifest.of_folder(path, scope.to_sign(path), how, reading)
    listed = scope.of_signed(given.manifest, bundle_names=scope.bundles_in(path, other))
    return manifest.of_folder(path, listed, how, reading)


def _renamed(side: Contents, name: str) -> Contents:
    """Return the one file of `side` under another `name`; as it is if there are several."""
    found = manifest.renamed(side.manifest, name)
    if found is None:
        return side
    return Contents(
        found, dict(zip([name], side.sizes.values(), strict=False))
    )  # a bundle has none


def _not_comparable(why: str) -> UsageError:
    hint = "Give two models, or a bundle or what `modelseal digest --format json` printed for one."
    return UsageError("not-comparable", why, hint)
