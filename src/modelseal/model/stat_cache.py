# SPDX-License-Identifier: Apache-2.0
"""Digests of files that look unchanged, so that signing again reads only what changed.

What the file system says of a file (device, inode, size, times of modification and of change) is no
proof of its bytes: root sets clocks, and a program that has the file mapped writes without a trace
for a while. So `sign --update` asks for it, for files whose digests the bundle that it replaces has
too, and verification never does unless it is told to.

One JSON file a model, named by the SHA-256 of its absolute path, private to the user:

    {"version": 2, "model": PATH, "files": {NAME: [STAMP, DIGESTS]}}
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
from modelseal.files import read_untrusted
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.model import digests, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.formats import oms
    from modelseal.model import tree
    from modelseal.model.walk import Files

LIMIT = 256 * 1024 * 1024  # bytes; a million files have less
_ITEMS = 8_000_000  # JSON values; such a cache has some 4,000,000
VERSION = 2

# A file that changes again within one tick of the clock has the same stamp (the "racily clean"
# entries of git); two seconds are the coarsest tick of a file system.
SETTLED_NS = 2_000_000_000
_OTHERS = 0o077
_WHAT = "stat cache"


class StatCache:
    """What was known of the files of one model, and what is found out now.

    The digests of the shards of a file follow each other.
    """

    def __init__(self, model: Path, known: dict[str, tuple[str, bytes]]) -> None:
        self._model = model
        self._known = known
        self._found: dict[str, tuple[str, bytes]] = {}
        self.unread = 0  # files whose digest was known

    def agreeing(self, signed: oms.Manifest | None) -> StatCache:
        """Return what is known here and in `signed`, hashed in the same way; of none, nothing.

        So a cache that somebody else wrote, or one of other files, means that more is read, and
        never that another digest is signed.
        """
        if signed is None:
            return StatCache(self._model, {})
        prefix, listed = _serialized(signed.serialization), signed.by_file()
        known = {
            name: (stamp, digest)
            for name, (stamp, digest) in self._known.items()
            if stamp.startswith(prefix) and listed.get(name, b"") == digest
        }
        return StatCache(self._model, known)

    def of_files(
        self,
        root: tree.Root,
        listing: Sequence[Files],
        how: oms.Serialization,
        reading: digests.Reading,
    ) -> digests.Digests:
        """Return the digests of the files in `listing`, hashed now unless they look as they did.

        Raises:
            FormatError, Undecided: as `digests.of_files`.
        """
        started = time.time_ns()
        before = _stamps(root, listing, how)
        known = {name for name, (stamp, _) in before.items() if self._knows(name, stamp)}
        rest = [files.only(lambda name: name not in known) for files in listing]
        rest = [files for files in rest if files.names]
        found = digests.of_files(root, rest, how, reading)
        for name, (stamp, status) in _stamps(root, rest, how).items():
            settled = status.st_ctime_ns + SETTLED_NS < started
            if settled and stamp == before[name][0] and name in found.digests:
                self._found[name] = (stamp, found.digests[name])
        for name in known:
            self._found[name] = self._known[name]
            found.digests[name] = self._known[name][1]
            found.sizes[name] = before[name][1].st_size
        self.unread += len(known)
        return found

    def _knows(self, name: str, stamp: str) -> bool:
        return self._known.get(name, ("", b""))[0] == stamp

    def save(self) -> None:
        """Keep what was found for the next time.

        Raises:
            Undecided: it cannot be written.
        """
        files = {name: [stamp, digest.hex()] for name, (stamp, digest) in self._found.items()}
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
    known: dict[str, tuple[str, bytes]] = {}
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


def _parsed(data: bytes, model: Path) -> dict[str, tuple[str, bytes]]:
    """Return the digests in `data`; none if they are of another version or model."""
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT, items=_ITEMS), dict, what=_WHAT)
    if (obj.get("version"), obj.get("model")) != (VERSION, str(model)):
        return {}
    files = member(obj, "files", dict, what=_WHAT)
    return {name: _entry(as_kind(item, list, what=_WHAT)) for name, item in files.items()}


def _entry(item: list[Any]) -> tuple[str, bytes]:
    stamp, found = (as_kind(one, str, what=_WHAT) for one in item)
    return stamp, bytes.fromhex(found)


def _stamps(
    root: tree.Root, listing: Sequence[Files], how: oms.Serialization
) -> dict[str, tuple[str, os.stat_result]]:
    found = {}
    for files in listing:
        for name, status in walk.statuses(root, files).items():
            found[name] = (_stamp(status, how), status)
    return found


def _stamp(found: os.stat_result, how: oms.Serialization) -> str:
    """Return what must be equal: the file's status, and how it was hashed."""
    numbers = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _serialized(how) + " ".join(map(str, numbers))


def _serialized(how: oms.Serialization) -> str:
    return f"{how.hash_type} {how.shard_size} "
