# SPDX-License-Identifier: Apache-2.0
"""Backups of an instance: a tar file with its settings, its keys and its database.

    manifest.json       version, origin, size of the log, and the SHA-256 of each file below
    instance.json, keys/*, log.db

The database is copied as of one moment, by SQLite, while the instance runs. What was copied is
checked like an instance that starts before the backup gets its name.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from hashlib import file_digest
from pathlib import Path
from typing import IO, Any

import rfc8785

from modelseal import outputs
from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.instance import state as states
from modelseal.instance.database import Database
from modelseal.instance.tlog import of_state

_MANIFEST = "manifest.json"
_LIMIT = 1 << 20
_WHAT = "manifest of the backup"
_VERSION = 1
_TRIES = 3
_CHUNK = 1 << 20


def back_up(data: Path, out: Path) -> int:
    """Write a backup of the instance in `data` to `out`; return the size of its log.

    Raises:
        UsageError: there is a file at `out`.
        Undecided: there is no whole instance, or the backup cannot be written.
    """
    states.load(data)
    if out.exists():
        raise UsageError(
            "already-exists", f"'{shown(str(out))}' already exists.", "Give the name of a new file."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".backup-", dir=out.parent) as temporary:
            copy = Path(temporary) / "state"
            size = _copied(data, copy)
            unnamed = Path(temporary) / "backup.tar"
            _write_archive(unnamed, copy, size)
            unnamed.rename(out)
            outputs.sync_folder(out.parent)
    except OSError as error:
        raise Undecided(
            "cannot-write",
            f"The backup '{shown(str(out))}' cannot be written: {error.strerror or error}.",
            "Choose another place, or free this one.",
        ) from error
    return size


def _copied(data: Path, copy: Path) -> int:
    """Copy the state in `data` to the new folder `copy`; return the size of the log in it."""
    folder = data / "state"
    database = f"{folder.resolve().as_uri()}/log.db?mode=rw"
    for _ in range(_TRIES):
        before = _small_files(folder)
        (copy / "keys").mkdir(parents=True)
        for name, body in before.items():
            outputs.write(copy / name, body, mode=0o600)
        with (
            closing(sqlite3.connect(database, uri=True)) as source,
            closing(sqlite3.connect(copy / "log.db")) as target,
        ):
            source.backup(target)  # in one step, and so of one moment
        if before == _small_files(folder):  # the keys were not rotated meanwhile
            return check(data, copy)
        shutil.rmtree(copy)
    raise Undecided(
        "instance-busy", f"The instance in {shown(str(data))} changes its keys.", "Try again."
    )


def _small_files(folder: Path) -> dict[str, bytes]:
    paths = [folder / "instance.json", *sorted((folder / "keys").iterdir())]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def check(data: Path, folder: Path) -> int:
    """Check the state in `folder`, a copy of that of `data`; return the size of its log.

    Raises:
        Undecided: it is not whole.
    """
    try:
        state = states.load_folder(folder)
        with closing(Database(state.database)) as database:
            return of_state(state, database).checked_size()
    except (OSError, sqlite3.Error, ValueError, FormatError) as error:
        raise states.damaged(data, error) from error


def _write_archive(path: Path, folder: Path, size: int) -> None:
    files = sorted(one for one in folder.rglob("*") if one.is_file())
    names = {str(one.relative_to(folder)): one for one in files}
    manifest: dict[str, Any] = {
        "version": _VERSION,
        "tree_size": size,
        "files": {name: {"sha256": _digest(one), "size": one.stat().st_size}
                  for name, one in names.items()},
    }  # fmt: skip
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w") as archive:
            body = rfc8785.dumps(manifest)
            archive.addfile(_member(_MANIFEST, len(body)), io.BytesIO(body))
            for name, one in names.items():
                with one.open("rb") as content:
                    archive.addfile(_member(name, one.stat().st_size), content)
        stream.flush()
        os.fsync(stream.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def restore(archive: Path, data: Path) -> int:
    """Put the instance of the backup `archive` into `data`; return the size of its log.

    Raises:
        UsageError: there is an instance in `data`, or no file `archive`.
        FormatError: that is no backup, or not a whole one. Nothing was changed.
        Undecided: `data` cannot be used.
    """
    with states.locked(data):
        if (data / "state").exists():
            raise UsageError(
                "already-exists",
                f"There is an instance in {shown(str(data))} already.",
                "Move it away, or give another folder with --data.",
            )
        try:
            with tempfile.TemporaryDirectory(prefix=".birth-", dir=data) as temporary:
                folder = Path(temporary) / "state"
                (folder / "keys").mkdir(parents=True, mode=0o700)
                folder.chmod(0o700)
                _extract(archive, folder)
                size = _checked_copy(archive, data, folder)
                outputs.sync_folder(folder / "keys")
                outputs.sync_folder(folder)
                folder.rename(data / "state")
                outputs.sync_folder(data)
        except OSError as error:
            raise states.unusable(data, error) from error
    return size


def _checked_copy(archive: Path, data: Path, folder: Path) -> int:
    try:
        return check(data, folder)
    except Undecided as error:
        if error.code != "instance-damaged":
            raise
        raise _bad_backup(archive, error.message) from error


def _extract(path: Path, folder: Path) -> None:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise UsageError(
            "not-found", f"The backup '{shown(str(path))}' cannot be read: {error.strerror}.",
            "Check the path.",
        ) from error  # fmt: skip
    try:
        with stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            _extract_members(archive, folder)
    except (tarfile.TarError, EOFError, FormatError) as error:
        reason = error.message if isinstance(error, ModelSealError) else str(error)
        raise _bad_backup(path, reason) from error


def _extract_members(archive: tarfile.TarFile, folder: Path) -> None:
    first = archive.next()
    content = archive.extractfile(first) if first is not None and first.isreg() else None
    if first is None or content is None or first.name != _MANIFEST or first.size > _LIMIT:
        raise FormatError("bad-backup", "it does not begin with its manifest")
    manifest = as_kind(parse_json(content.read(), what=_WHAT, limit=_LIMIT), dict, what=_WHAT)
    if member(manifest, "version", int, what=_WHAT) != _VERSION:
        raise FormatError("bad-backup", "it was made by a newer modelseal")
    expected = dict(member(manifest, "files", dict, what=_WHAT))
    while (info := archive.next()) is not None:
        about = as_kind(expected.pop(info.name, None), dict, what=f"entry for {info.name!r}")
        content = archive.extractfile(info) if info.isreg() else None
        if content is None or not _is_of_state(info.name):
            raise FormatError("bad-backup", f"{info.name!r} does not belong into an instance")
        _copy(content, folder / info.name)
        if _digest(folder / info.name) != about.get("sha256"):
            raise FormatError("bad-backup", f"{info.name!r} is not what was backed up")
    if expected:
        raise FormatError("bad-backup", f"{min(expected)!r} is missing")


def _is_of_state(name: str) -> bool:
    parent, _, file = name.rpartition("/")
    return parent in {"", "keys"} and file not in {"", ".", ".."}


def _copy(source: IO[bytes], path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target, _CHUNK)
        target.flush()
        os.fsync(target.fileno())


def _bad_backup(path: Path, reason: str) -> FormatError:
    return FormatError(
        "bad-backup",
        f"'{shown(str(path))}' is not a whole backup of an instance: {shown(reason)}.",
        "Take another one; nothing was restored.",
    )
