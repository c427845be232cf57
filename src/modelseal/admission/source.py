# SPDX-License-Identifier: Apache-2.0
"""The hostile side of an admission: the files of a model, listed, hashed, copied."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelseal.admission import store as place
from modelseal.errors import Unverified, shown
from modelseal.formats import oms
from modelseal.model import tree
from modelseal.model.hashing import SinkError, resources
from modelseal.model.manifest import BUNDLE_NAME, BUNDLE_NAMES, DEFAULT_IGNORED, renamed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from modelseal.model.hashing import Progress
    from modelseal.verification.authenticate import Authenticated

    Files = Callable[[], Iterator[tree.OpenFile]]

_SINK = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def expected(source: Path, found: Authenticated, *, folder: bool) -> oms.Manifest:
    """Return the manifest that the files at `source` must have.

    What the signer called a single file does not matter, a model may be renamed.

    Raises:
        Unverified: a folder with the signature of a file, or the other way round.
        FormatError: a name that is not UTF-8.
    """
    signed: oms.Manifest | None = found.manifest
    if folder and found.kind == "artifact":
        signed = None
    elif not folder:
        signed = renamed(found.manifest, oms.check_name(source.name))
    if signed is None:
        what = "one file" if folder else f"{len(found.manifest.file_names())} files"
        raise Unverified(
            "wrong-kind",
            f"The bundle signs {what}, which is not what '{shown(source.name)}' is.",
            "Verify what was signed.",
        )
    return signed


@contextmanager
def opened(source: Path, signed: oms.Manifest, *, folder: bool) -> Iterator[Files]:
    """Give a function that walks the files of the model, as often as it is called.

    What the signer chose to ignore is not skipped: a file that nobody signed has no place here.
    Only a checkout's own files at the top are, and they are not copied either.

    Raises:
        FormatError, UsageError, Undecided: see `tree.folder` and `tree.single`.
    """
    if folder:
        tops = {name.partition("/")[0] for name in signed.file_names()}
        skip = ((DEFAULT_IGNORED | BUNDLE_NAMES) - tops) | {BUNDLE_NAME}
        with tree.folder(source) as fd:
            follow = signed.serialization.allow_symlinks
            by_shards = signed.serialization.shard_size is not None
            # Shards have no place for an empty file, so nobody signed it: it is not copied.
            yield lambda: (
                file for file in tree.walk(fd, skip, follow=follow) if file.size or not by_shards
            )
    else:
        with tree.single(source) as file:
            yield lambda: iter((file,))


def sizes(files: Files) -> dict[str, int]:
    """Return the bytes of the files by name, opening but not reading them."""
    return {file.name: file.size for file in files()}


def hashed(
    files: Files, how: oms.Serialization, progress: Progress | None, measured: dict[str, int]
) -> oms.Manifest:
    """Return the manifest of the files as they lie there, each byte read once.

    `measured` gets the bytes of each file.
    """
    found: list[oms.Resource] = []
    for file in files():
        found += resources(file, how, progress)
        measured[file.name] = file.size
    return oms.Manifest(tuple(sorted(found)), (), how)


def copied(
    files: Files, signed: oms.Manifest, into: Path, progress: Progress | None
) -> oms.Manifest:
    """Return the manifest of the bytes that were put into the folder `into`, read once.

    A file that is not in `signed` is not copied; it is in the result, with an empty digest. A link
    that may be followed is copied as what it leads to.

    Raises:
        FormatError, Undecided: see `tree.walk` and `hashing.resources`; the store is full.
    """
    wanted, how = signed.file_names(), signed.serialization
    found: list[oms.Resource] = []
    for file in files():
        if file.name in wanted:
            found += _copied(file, how, into, progress)
        else:
            # By shards the one that no file falls into: it is enough that it was not signed.
            whole = how.shard_size is None
            name = file.name if whole else oms.shard_name(file.name, 0, file.size)
            found.append(oms.Resource(name, b""))
    return oms.Manifest(tuple(sorted(found)), (), how)


def _copied(
    file: tree.OpenFile, how: oms.Serialization, into: Path, progress: Progress | None
) -> list[oms.Resource]:
    target = into / file.name
    with place.translated(into.parent):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink = os.open(target, _SINK, 0o400)
    try:
        found = resources(file, how, progress, sink)
        with place.translated(into.parent):
            os.fsync(sink)
    except SinkError as error:
        raise place.cannot_write(error.cause, into.parent) from error
    finally:
        os.close(sink)
    return found


def stamp(source: Path) -> bytes:
    """Return a digest over what the file system says of every file of the folder, bundle included.

    Two equal stamps mean that nobody without tricks changed the folder in between. Good enough to
    skip work that only informs; never a reason to load bytes that were not hashed.

    Raises:
        FormatError, UsageError, Undecided: see `tree.walk`.
    """
    hasher = hashlib.sha256()
    with tree.folder(source) as fd:
        for file in tree.walk(fd, DEFAULT_IGNORED - {BUNDLE_NAME}):
            found = os.fstat(file.fd)
            numbers = (found.st_dev, found.st_ino, found.st_size)
            times = (found.st_mtime_ns, found.st_ctime_ns)
            hasher.update(repr((file.name, *numbers, *times)).encode())
    return hasher.digest()
