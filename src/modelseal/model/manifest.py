# SPDX-License-Identifier: Apache-2.0
"""What is in a model as it lies on disk: its manifest, and what is known beside the digests."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from modelseal.formats import oms
from modelseal.model import hashing, lfs, tree
from modelseal.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from modelseal.model.hashing import Progress
    from modelseal.model.scope import Scope
    from modelseal.model.stat_cache import StatCache

    ReadFile = Callable[[tree.OpenFile], list[oms.Resource]]


class Contents(NamedTuple):
    """The files of a model, and their bytes by name as far as they are known.

    `ignored_unsigned` are files and folders that nobody signed and that the scope lets be there;
    `pointers` are the files that are Git LFS pointers, as far as the files are at hand.
    """

    manifest: oms.Manifest
    sizes: Mapping[str, int] = MappingProxyType({})
    ignored_unsigned: tuple[str, ...] = ()
    pointers: frozenset[str] = frozenset()


def read(root: tree.Root, scope: Scope, how: oms.Serialization, read_file: ReadFile) -> Contents:
    """Return what is in the model at `root`, of which `read_file` gives each file's resources.

    A file that nobody signed is not read: it is in the manifest with an empty digest. Links count
    as allowed if the walk followed them, whatever `how` says.

    Raises:
        FormatError, Undecided: see `tree.walk` and `read_file`; no files, if this is to be signed.
    """
    resources: list[oms.Resource] = []
    sizes: dict[str, int] = {}
    ignored: list[str] = []
    pointers: set[str] = set()
    for file in tree.walk(root, scope, ignored):
        sizes[file.name] = file.size
        if lfs.is_pointer(file):
            pointers.add(file.name)
        resources += read_file(file) if scope.is_signed(file.name) else [_unread(file, how)]
    how = how._replace(allow_symlinks=scope.follow_links or root.is_linked)
    if scope.signed is None:
        found = oms.manifest(resources, tuple(scope.skip), how)
    else:
        found = oms.Manifest(tuple(sorted(resources)), (), how)
    return Contents(found, sizes, tuple(ignored), frozenset(pointers))


def _unread(file: tree.OpenFile, how: oms.Serialization) -> oms.Resource:
    # By shards the one that no file falls into: it is enough that it was not signed.
    whole = how.shard_size is None
    return oms.Resource(file.name if whole else oms.shard_name(file.name, 0, file.size), b"")


def of_folder(
    path: Path,
    scope: Scope = EVERYTHING,
    progress: Progress | None = None,
    how: oms.Serialization | None = None,
    cache: StatCache | None = None,
) -> Contents:
    """Return what is in the folder `path`; files that look as the `cache` knows them are not read.

    Raises:
        FormatError, Undecided, UsageError: see `tree.folder`, `read` and `hashing.resources`.
    """
    how = how or oms.Serialization()
    resources = cache.resources if cache else hashing.resources
    with tree.folder(path) as root:
        return read(root, scope, how, partial(resources, how=how, progress=progress))


def of_file(
    path: Path,
    progress: Progress | None = None,
    how: oms.Serialization | None = None,
    cache: StatCache | None = None,
) -> Contents:
    """Return what the one file `path` is, named by its base name; otherwise as `of_folder`.

    Raises:
        FormatError, Undecided, UsageError: see `tree.single` and `hashing.resources`.
    """
    how = how or oms.Serialization()
    resources = cache.resources if cache else hashing.resources
    with tree.file(path) as root:
        return read(root, EVERYTHING, how, partial(resources, how=how, progress=progress))


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
