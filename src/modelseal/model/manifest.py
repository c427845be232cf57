# SPDX-License-Identifier: Apache-2.0
"""What is in a model as it lies on disk: its manifest, and what is known beside the digests."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from modelseal.formats import oms
from modelseal.model import digests, hashing, small_files, tree, walk
from modelseal.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from modelseal.model.scope import Scope
    from modelseal.model.walk import Files

    ReadFiles = Callable[[list[Files]], digests.Digests]


class Contents(NamedTuple):
    """The files of a model, and their bytes by name as far as they are known.

    `ignored_unsigned` are files and folders that nobody signed and that the scope lets be there;
    `pointers` are the files that are Git LFS pointers, as far as the files are at hand. `unread`
    are files whose digests do not matter any more, because another one is not what was signed.
    """

    manifest: oms.Manifest
    sizes: Mapping[str, int] = MappingProxyType({})
    ignored_unsigned: tuple[str, ...] = ()
    pointers: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()


def read(
    root: tree.Root,
    scope: Scope,
    how: oms.Serialization,
    read_files: ReadFiles,
    signed: oms.Manifest | None = None,
) -> Contents:
    """Return what is in the model at `root`, of which `read_files` gives the digests.

    A file that nobody signed is not read: it is in the manifest with an empty digest. None is, if
    one that is in `signed` is missing or has another size. Links count as allowed if the walk
    followed them, whatever `how` says.

    Raises:
        FormatError, Undecided: see `walk.walk` and `read_files`; no files, if this is to be signed.
    """
    ignored: list[str] = []
    listing, unsigned = _sorted_out(walk.walk(root, scope, ignored), scope)
    changed = {} if signed is None else _changed_sizes(root, listing, signed)
    names = {name for files in listing for name in files.names}
    if signed is not None and (changed or signed.file_names() - names):
        found = digests.Digests(changed, dict.fromkeys(changed, b""))
        found.pointers |= read_files(_pointer_like(listing, changed)).pointers
    else:
        found = read_files(listing)
    how = how._replace(allow_symlinks=scope.follow_links or root.is_linked)
    resources = _resources(found, how)
    sizes = {name: size for name, size in found.sizes.items() if size or scope.empty_files}
    for files in unsigned:
        for name, status in walk.statuses(root, files).items():
            if status.st_size or scope.empty_files:
                sizes[name] = status.st_size
                resources.append(_unread(name, status.st_size, how))
    if scope.signed is None:
        manifest = oms.manifest(resources, tuple(scope.skip), how)
    else:
        manifest = oms.Manifest(tuple(sorted(resources)), (), how)
    unread = frozenset(names - found.digests.keys())
    return Contents(manifest, sizes, tuple(ignored), frozenset(found.pointers), unread)


def _sorted_out(found: Iterable[Files], scope: Scope) -> tuple[list[Files], list[Files]]:
    """Return the files that were signed, or are to be, and those that nobody signed."""
    if scope.signed is None:
        return list(found), []
    signed = frozenset(scope.signed)
    listing, unsigned = [], []
    for files in found:
        if signed.issuperset(files.names):
            listing.append(files)
            continue
        listing.append(files.only(signed.__contains__))
        unsigned.append(files.only(lambda name: name not in signed))
    return [files for files in listing if files.names], unsigned


def _changed_sizes(root: tree.Root, listing: list[Files], signed: oms.Manifest) -> dict[str, int]:
    """Return the bytes of the files that had others when they were signed by shards."""
    expected = signed.sizes()
    if not expected:
        return {}
    return {
        name: status.st_size
        for files in listing
        for name, status in walk.statuses(root, files).items()
        if status.st_size != expected.get(name)
    }


def _pointer_like(listing: list[Files], changed: Mapping[str, int]) -> list[Files]:
    """Return those of the `changed` files that are small enough to be Git LFS pointers."""
    tiny = {name for name, size in changed.items() if size < small_files.POINTER_LIMIT}
    found = (files.only(tiny.__contains__) for files in listing)
    return [files for files in found if files.names]


def _resources(found: digests.Digests, how: oms.Serialization) -> list[oms.Resource]:
    """Return the files that were read as resources: whole, or by shards."""
    if how.shard_size is None:
        return [oms.Resource(name, digest) for name, digest in found.digests.items()]
    length = oms.HASHES[how.hash_type]
    resources = []
    for name, digest in found.digests.items():
        size = found.sizes[name]
        if size and not digest:  # it is enough to know that it is another file
            resources.append(_unread(name, size, how))
            continue
        for number, shard in enumerate(hashing.names(name, size, how)):
            part = digest[number * length : (number + 1) * length]
            resources.append(oms.Resource(shard, part))
    return resources


def _unread(name: str, size: int, how: oms.Serialization) -> oms.Resource:
    # By shards the one that no file falls into: it is enough that it was not signed.
    return oms.Resource(name if how.shard_size is None else oms.shard_name(name, 0, size), b"")


def of_folder(
    path: Path,
    scope: Scope = EVERYTHING,
    how: oms.Serialization | None = None,
    reading: digests.Reading = digests.PLAIN,
) -> Contents:
    """Return what is in the folder `path`.

    Raises:
        FormatError, Undecided, UsageError: see `tree.folder`, `read` and `digests.of_files`.
    """
    with tree.folder(path) as root:
        return _read(root, scope, how, reading)


def of_file(
    path: Path,
    how: oms.Serialization | None = None,
    reading: digests.Reading = digests.PLAIN,
) -> Contents:
    """Return what the one file `path` is, named by its base name.

    Raises:
        FormatError, Undecided, UsageError: see `tree.file`, `read` and `digests.of_files`.
    """
    with tree.file(path) as root:
        return _read(root, EVERYTHING, how, reading)


def _read(
    root: tree.Root, scope: Scope, how: oms.Serialization | None, reading: digests.Reading
) -> Contents:
    how = how or oms.Serialization()
    of_files = reading.cache.of_files if reading.cache else digests.of_files

    def read_files(listing: list[Files]) -> digests.Digests:
        return of_files(root, listing, how, reading)

    return read(root, scope, how, read_files, reading.signed)


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
