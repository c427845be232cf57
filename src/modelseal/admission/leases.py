# SPDX-License-Identifier: Apache-2.0
"""Who makes a snapshot, and who uses one: locks that end with the process that holds them.

STORE/.snapshots/<digest>.json   the record of a snapshot and its lock: shared by everybody who uses
                                 the snapshot, and held alone by who removes it; its time of change
                                 is when the snapshot was last asked for
STORE/.snapshots/<digest>.lock   held by who makes the snapshot, and waited for by others who would
"""

from __future__ import annotations

import json
import os
import time
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from modelseal.admission import store as stores
from modelseal.errors import FormatError
from modelseal.files import lock
from modelseal.formats import oms
from modelseal.formats.strict import as_kind, member, optional, parse_json

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path

_LIMIT = 64 * 1024  # bytes of a record
_WHAT = "record of a snapshot"


class Lease:
    """Keeps a snapshot from being removed until it is closed, collected, or the process ends.

    Forked processes share it. Threads and further admissions have leases of their own.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._close = weakref.finalize(self, os.close, fd)

    def close(self) -> None:
        """Let the snapshot go; doing it twice is harmless."""
        self._close()

    def survive_exec(self) -> int:
        """Keep the lease when this process becomes another program; return its descriptor."""
        os.set_inheritable(self._fd, True)  # noqa: FBT003 - the standard library's way
        return self._fd

    def write(self, record: Record) -> None:
        """Write down what is known of the snapshot that is being made.

        Raises:
            OSError: it cannot be written.
        """
        how = record.how
        values = {"model": record.model, "hash_type": how.hash_type, "shard_size": how.shard_size}
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(values).encode(), 0)


class Record(NamedTuple):
    """What is known of a snapshot beside its files; enough to compute its digest again."""

    model: str = ""
    how: oms.Serialization = oms.Serialization()


def take(store: Path, digest: str) -> Lease | None:
    """Return a lease of the snapshot `digest`, None if there is no such snapshot.

    Waits for whoever just removes it.

    Raises:
        Undecided: the store cannot be used.
    """
    if not (store / digest).is_dir():
        return None
    with stores.translated(store):
        fd = _locked(_record(store, digest), shared=True)
        if (store / digest).is_dir():
            now = time.time()
            os.utime(fd, (now, now))
            return Lease(fd)
        os.close(fd)
    return None


@contextmanager
def making(store: Path, digest: str) -> Iterator[Lease | None]:
    """Give the lease of a snapshot that is for this thread alone to make; None if it exists.

    Waits for whoever just makes it. If it does not exist in the end, nothing is left of the lease.

    Raises:
        Undecided: the store cannot be used.
    """
    path = store / stores.RECORDS / f"{digest}.lock"
    with stores.translated(store):
        turn = _locked(path)
    try:
        if (store / digest).is_dir():
            yield None
            return
        with stores.translated(store):
            lease = Lease(_locked(_record(store, digest), shared=True))
        try:
            yield lease
        finally:
            if not (store / digest).is_dir():
                _forget(store, digest)
                lease.close()
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(turn)


@contextmanager
def unused(store: Path, digest: str) -> Iterator[None]:
    """Let the block remove the snapshot `digest`, which nobody uses and nobody can begin to use.

    Raises:
        BlockingIOError: somebody uses it. Undecided: the store cannot be used, or has no locks.
    """
    path = _record(store, digest)
    with stores.translated(store):
        fd = _opened(path)
    try:
        if not lock(fd, wait=False):
            raise stores.no_locks(store)
        if not _is_current(fd, path):  # somebody else has removed and made it meanwhile
            raise BlockingIOError
        try:
            yield
        finally:
            _forget(store, digest)
    finally:
        os.close(fd)


def is_used(store: Path, digest: str) -> bool:
    """Return whether a process uses the snapshot `digest`, or makes it.

    Raises:
        Undecided: cannot tell.
    """
    try:
        with unused(store, digest):
            return False
    except BlockingIOError:
        return True


def read_record(store: Path, digest: str) -> Record:
    """Return what is known of the snapshot `digest`, the least that is possible if it is damaged.

    A wrong record can only make an unchanged snapshot look altered, never the other way round.
    """
    try:
        data = _record(store, digest).read_bytes()[: _LIMIT + 1]
        values = as_kind(parse_json(data, what=_WHAT, limit=_LIMIT), dict, what=_WHAT)
        how = oms.serialization(
            member(values, "hash_type", str, what=_WHAT),
            shard_size=optional(values, "shard_size", int, what=_WHAT),
        )
        return Record(member(values, "model", str, what=_WHAT), how)
    except (OSError, FormatError):
        return Record()


def last_used(store: Path, digest: str) -> float:
    """Return when the snapshot was last asked for, in seconds since 1970."""
    try:
        return _record(store, digest).stat().st_mtime
    except OSError:
        return (store / digest).stat().st_mtime


def sweep(store: Path, present: Container[str]) -> None:
    """Remove the records and locks of snapshots that do not exist and that nobody makes.

    Raises:
        Undecided: the store cannot be used.
    """
    with stores.translated(store):
        records = store / stores.RECORDS
        known = list(records.iterdir()) if records.is_dir() else []
        for path in known:
            if path.suffix == ".lock" or path.stem not in present:
                with suppress(FileNotFoundError):  # removed meanwhile
                    _sweep(store, path)


def _sweep(store: Path, path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        is_ours = lock(fd, wait=False) and _is_current(fd, path)
        if is_ours and (path.suffix == ".lock" or not (store / path.stem).is_dir()):
            path.unlink()
    except BlockingIOError:
        pass  # somebody is making it
    finally:
        os.close(fd)


def _locked(path: Path, *, shared: bool = False) -> int:
    """Return the lock `path`, which is the one that all others see."""
    while True:
        fd = _opened(path)
        try:
            lock(fd, shared=shared)
            if _is_current(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever had it before has removed it


def _is_current(fd: int, path: Path) -> bool:
    """Return whether the file behind `fd` is the one that others open by its name."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _forget(store: Path, digest: str) -> None:
    """Remove the record of a snapshot if the snapshot does not exist."""
    with suppress(OSError):
        if not (store / digest).is_dir():
            _record(store, digest).unlink()


def _record(store: Path, digest: str) -> Path:
    return store / stores.RECORDS / f"{digest}.json"
