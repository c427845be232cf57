# SPDX-License-Identifier: Apache-2.0
"""The folder of snapshots: private, addressed by what it holds, safe for many processes at once.

STORE/<SHA-256 of the manifest>/   a snapshot; appears by rename, so it is whole or not there
STORE/.snapshots/<the same>.json   what is known of it, and its lock (`leases`)
STORE/.tmp-*/                      a copy being made, locked by the process that makes it, or what
                                   is left of one
STORE/.lock                        held while a .tmp- folder is made or swept away
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal import files, home, outputs
from modelseal.errors import Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.formats.oms import Manifest

RECORDS = ".snapshots"
_PREFIX = ".tmp-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def digest_of(manifest: Manifest) -> str:
    """Return the name of the snapshot of `manifest`: SHA-256 over names and digests, in hex.

    Not the OMS root digest, which does not cover the names. Other ways of serializing than by files
    with SHA-256 are part of it, as a shard has the name that a file could have.
    """
    hasher = hashlib.sha256()
    how = manifest.serialization
    if (how.method, how.hash_type) != ("files", "sha256"):
        hasher.update(f"{how.hash_type} {how.shard_size}".encode().ljust(64, b"\0"))
    for resource in manifest.resources:
        name = resource.name.encode()
        hasher.update(len(name).to_bytes(8, "big") + name + resource.digest)
    return hasher.hexdigest()


def default_folder() -> Path:
    """Return the store of this user, where nobody names another.

    Raises:
        Undecided: the user has no home folder.
    """
    return home.folder("data", "modelseal") / "store"


def prepare(store: Path) -> Path:
    """Return the real path of the folder `store`, made if it is not there, checked to be private.

    Raises:
        UsageError: somebody else owns it or can write to it. Undecided: it cannot be made.
    """
    with translated(store):
        store.mkdir(mode=0o700, parents=True, exist_ok=True)
        found, link = store.stat(), store.lstat()
        real = store.resolve()
    # A link of somebody else may lead anywhere tomorrow.
    owned = found.st_uid == os.geteuid() and link.st_uid in {0, os.geteuid()}
    if not owned or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UsageError(
            "store-not-private",
            f"The store '{shown(str(store))}' belongs to somebody else or others can write to it.",
            "Give the server a folder of its own with mode 0700.",
        )
    return real


@contextmanager
def temporary(store: Path) -> Iterator[Path]:
    """Give a new private folder inside `store`; what is left of it at the end is removed.

    Folders that a process left behind when it was killed are removed first.

    Raises:
        Undecided: it cannot be made.
    """
    with locked(store) as is_locked:
        if is_locked:  # else nobody can tell which folders are in use
            _sweep(store)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=store))
        fd = os.open(path, _FOLDER)
        files.lock(fd)
    try:
        yield path
    finally:
        os.close(fd)
        remove(path)


def publish(temporary_folder: Path, final: Path) -> None:
    """Make the finished folder read-only, durable, and known as `final`, all of it at once.

    When another process was faster its snapshot of the same digest stays, ours goes.

    Raises:
        Undecided: the store cannot be written.
    """
    with translated(final.parent):
        for folder, _, _ in os.walk(temporary_folder, topdown=False):
            Path(folder).chmod(0o500)
            outputs.sync_folder(Path(folder))
        try:
            temporary_folder.rename(final)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                raise
        outputs.sync_folder(final.parent)


def check_space(store: Path, size: int) -> None:
    """Check that a file of `size` bytes fits, before hours are spent on filling the disk.

    Raises:
        Undecided: it does not.
    """
    with translated(store):
        disk = os.statvfs(store)
    if size > disk.f_bavail * disk.f_frsize:
        raise cannot_write(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), store)


def withdraw(snapshot: Path) -> None:
    """Remove a finished snapshot: first its name, so that nobody ever finds half of one.

    Raises:
        Undecided: the store cannot be written.
    """
    away = snapshot.with_name(f"{_PREFIX}{secrets.token_hex(8)}")
    with translated(snapshot.parent):
        snapshot.rename(away)
    remove(away)


def remove(tree: Path) -> None:
    """Remove a folder of ours, read-only as it may be, as far as possible."""
    for folder, _, _ in os.walk(tree):
        with suppress(OSError):  # removed meanwhile, or on a disk that is read-only by now
            Path(folder).chmod(0o700)
    shutil.rmtree(tree, ignore_errors=True)


@contextmanager
def translated(store: Path) -> Iterator[None]:
    """Turn an OSError about `store` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise cannot_write(error, store) from error
    except ValueError as error:  # a NUL or half a character: no folder has such a name
        raise UsageError("not-found", f"'{shown(str(store))}' is no path.", "Check it.") from error


def cannot_write(error: OSError, store: Path) -> Undecided:
    """Return what `error` means when it came from writing to `store`."""
    said = shown(str(store))
    if error.errno in _FULL:
        return Undecided("store-full", f"No space left in the store '{said}'.", "Free some space.")
    reason = error.strerror or "input/output error"
    message = f"The store '{said}' cannot be written: {reason}."
    return Undecided("store-unusable", message, "Name a folder that can be written, or make it so.")


def no_locks(store: Path) -> Undecided:
    """Return the refusal to remove something that may be in use, for all that anybody can tell."""
    return Undecided(
        "store-without-locks",
        f"The file system of the store '{shown(str(store))}' has no locks, so nobody can tell "
        "which snapshots are in use.",
        "Stop every process that uses the store, then remove the folder.",
    )


def sweep(store: Path) -> None:
    """Remove the copies that a process left behind when it was killed.

    Raises:
        Undecided: the store cannot be used.
    """
    with translated(store):
        left = any(entry.name.startswith(_PREFIX) for entry in store.iterdir())
    if left:
        with locked(store) as is_locked:
            if is_locked:  # else nobody can tell which folders are in use
                _sweep(store)


def _sweep(store: Path) -> None:
    """Remove the temporary folders that no process holds; the caller holds the store's lock."""
    for entry in store.iterdir():
        if not entry.name.startswith(_PREFIX):
            continue
        try:
            fd = os.open(entry, _FOLDER)
        except OSError:  # its owner has just renamed or removed it
            continue
        try:
            if files.lock(fd, wait=False):
                remove(entry)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)


@contextmanager
def locked(store: Path) -> Iterator[bool]:
    """Keep other processes from changing what is in the `store`, but for finished snapshots.

    Gives whether that can be done: some file systems have no locks.

    Raises:
        Undecided: it cannot be locked.
    """
    with translated(store), _locked(store / ".lock") as is_locked:
        yield is_locked


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        yield files.lock(fd)
    finally:
        os.close(fd)
