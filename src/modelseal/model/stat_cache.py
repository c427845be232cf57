# SPDX-License-Identifier: Apache-2.0
"""Digests of files that look unchanged, so that signing again reads only what changed.

What the file system says of a file (device, inode, size, times of modification and of change) is no
proof of its bytes: root sets clocks, and a program that has the file mapped writes without a trace
for a while. So `sign --update` asks for it, for files whose digests the bundle that it replaces has
too, and verification never does unless it is told to.

One JSON file a model, named by the SHA-256 of its absolute path, private to the user:

    {"version": 1, "model": PATH, "files": {NAME: [STAMP, [DIGEST, ...]]}}
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal import home, outputs
from modelseal.errors import ModelSealError, Undecided
from modelseal.files import read_untrusted, translated
from modelseal.formats import oms
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.model import hashing

if TYPE_CHECKING:
    from modelseal.model.hashing import Progress
    from modelseal.model.tree import OpenFile

LIMIT = 256 * 1024 * 1024  # bytes; a million files have less
_ITEMS = 8_000_000  # JSON values; such a cache has some 4,000,000
VERSION = 1

# A file that changes again within one tick of the clock has the same stamp (the "racily clean"
# entries of git); two seconds are the coarsest tick of a file system.
SETTLED_NS = 2_000_000_000
_OTHERS = 0o077
_WHAT = "stat cache"


class StatCache:
    """What was known of the files of one model, and what is found out now."""

    def __init__(self, model: Path, known: dict[str, tuple[str, tuple[bytes, ...]]]) -> None:
        self._model = model
        self._known = known
        self._found: dict[str, tuple[str, tuple[bytes, ...]]] = {}
        self.unread = 0  # files whose digest was known

    def agreeing(self, signed: oms.Manifest | None) -> StatCache:
        """Return what is known here and in `signed`, hashed in the same way; of none, nothing.

        So a cache that somebody else wrote, or one of other files, means that more is read, and
        never that another digest is signed.
        """
        if signed is None:
            return StatCache(self._model, {})
        way, listed = _way(signed.serialization), _by_file(signed)
        known = {
            name: (stamp, digests)
            for name, (stamp, digests) in self._known.items()
            if stamp.startswith(way) and listed.get(name, ()) == digests
        }
        return StatCache(self._model, known)

    def resources(
        self, file: OpenFile, how: oms.Serialization, progress: Progress | None = None
    ) -> list[oms.Resource]:
        """Return the resources that `file` is, hashed now unless it looks as it did.

        Raises:
            FormatError, Undecided: as `hashing.resources`.
        """
        started = time.time_ns()
        with translated(file.name):
            before = os.fstat(file.fd)
        stamp = _stamp(before, how)
        names = hashing.names(file.name, before.st_size, how)
        seen, digests = self._known.get(file.name, ("", ()))
        if seen == stamp and len(digests) == len(names):
            self._found[file.name] = (stamp, digests)
            self.unread += 1
            return [oms.Resource(*pair) for pair in zip(names, digests, strict=True)]
        found = hashing.resources(file, how, progress)
        with translated(file.name):
            after = os.fstat(file.fd)
        settled = before.st_ctime_ns + SETTLED_NS < started
        if settled and _stamp(after, how) == stamp:
            self._found[file.name] = (stamp, tuple(resource.digest for resource in found))
        return found

    def save(self) -> None:
        """Keep what was found for the next time.

        Raises:
            Undecided: it cannot be written.
        """
        files = {
            name: [stamp, [digest.hex() for digest in digests]]
            for name, (stamp, digests) in self._found.items()
        }
        value = {"version": VERSION, "model": str(self._model), "files": files}
        path = path_of(self._model)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if path.is_symlink():  # not ours; what it leads to is not to be replaced
                path.unlink()
            outputs.write(path, json.dumps(value).encode(), mode=0o600)
        except OSError as error:
            raise home.unusable(error, path.parent, "cache") from error
        except Undecided as error:
            if error.code == "cannot-write" and isinstance(error.__cause__, OSError):
                raise home.unusable(error.__cause__, path.parent, "cache") from error
            raise


def load(model: Path) -> StatCache:
    """Return what is known of the model at `model`: nothing, if it cannot be read or trusted."""
    model = Path(os.path.realpath(model))
    known: dict[str, tuple[str, tuple[bytes, ...]]] = {}
    try:
        path = path_of(model)
        if _is_private(path.parent) and _is_private(path):
            known = _parsed(read_untrusted(path, LIMIT, _WHAT), model)
    except (ModelSealError, ValueError, OSError):
        known = {}  # everything is hashed, as without a cache
    return StatCache(model, known)


def path_of(model: Path) -> Path:
    """Return where the digests of the model at the absolute path `model` are kept.

    Raises:
        Undecided: the user has no home folder ("no-home").
    """
    name = hashlib.sha256(os.fsencode(model)).hexdigest()
    return home.folder("cache", "modelseal") / "digests" / f"{name}.json"


def _is_private(path: Path) -> bool:
    """Return whether nobody else could have written or swapped it."""
    found = path.lstat()
    mine = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    return mine and not found.st_mode & _OTHERS


def _parsed(data: bytes, model: Path) -> dict[str, tuple[str, tuple[bytes, ...]]]:
    """Return the digests in `data`; none if they are of another version or model."""
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT, items=_ITEMS), dict, what=_WHAT)
    if (obj.get("version"), obj.get("model")) != (VERSION, str(model)):
        return {}
    files = member(obj, "files", dict, what=_WHAT)
    return {name: _entry(as_kind(item, list, what=_WHAT)) for name, item in files.items()}


def _entry(item: list[Any]) -> tuple[str, tuple[bytes, ...]]:
    stamp, digests = item
    hexes = as_kind(digests, list, what=_WHAT)
    return as_kind(stamp, str, what=_WHAT), tuple(
        bytes.fromhex(as_kind(digest, str, what=_WHAT)) for digest in hexes
    )


def _stamp(found: os.stat_result, how: oms.Serialization) -> str:
    """Return what must be equal: the file's status, and how it was hashed."""
    numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _way(how) + " ".join(map(str, numbers))


def _way(how: oms.Serialization) -> str:
    return f"{how.hash_type} {how.shard_size} "


def _by_file(signed: oms.Manifest) -> dict[str, tuple[bytes, ...]]:
    """Return the digests of each file, of shards in the order of the file."""
    if signed.serialization.shard_size is None:
        return {resource.name: (resource.digest,) for resource in signed.resources}
    found: dict[str, dict[int, bytes]] = {}
    for resource in signed.resources:
        file, start, _ = oms.split_shard(resource.name)
        found.setdefault(file, {})[start] = resource.digest
    return {file: tuple(parts[n] for n in sorted(parts)) for file, parts in found.items()}
