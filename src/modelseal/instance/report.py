# SPDX-License-Identifier: Apache-2.0
"""How an instance is: its status, and whether anything in its folder needs its operator."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from modelseal import files
from modelseal.errors import FormatError, ModelSealError, Undecided, shown
from modelseal.formats import checkpoint, merkle, note
from modelseal.instance import clock, ctlog, index, keys, tlog
from modelseal.instance import state as states
from modelseal.instance.database import Database
from modelseal.instance.tree import Tree
from modelseal.instance.tuf import TufRepository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelseal.instance.state import State

_SOON = timedelta(days=90)
_LOW_SPACE = 1 << 30
_PAGE = 1024


@dataclass(frozen=True)
class Key:
    """A key that is published: when it begins to sign, and when its certificate ends."""

    service: str
    number: int
    begins: datetime
    ends: datetime | None
    private: bool


@dataclass(frozen=True)
class Status:
    """An instance as it is on disk."""

    url: str
    origin: str
    running: bool
    since: datetime
    entries: int
    root: bytes
    certificates: int
    last_entry: datetime | None
    keys: tuple[Key, ...]
    tuf_root: bytes
    bytes_used: int


@dataclass(frozen=True)
class Check:
    """What was looked at, and what came of it; `hint` says what to do when it is not good."""

    name: str
    result: Literal["ok", "warning", "failed"]
    message: str
    hint: str = field(default="")


def status(data: Path) -> Status:
    """Return the status of the instance in `data`, running or not.

    Raises:
        Undecided: there is no whole instance.
    """
    state = states.started(data)
    try:
        with closing(Database(state.database)) as database:
            return _status(data, state, database)
    except (sqlite3.Error, ValueError, FormatError) as error:
        raise states.damaged(data, error) from error


def _status(data: Path, state: State, database: Database) -> Status:
    with database.reading() as connection:
        head = connection.execute(
            "SELECT checkpoint FROM head WHERE log = ?", (tlog.LOG,)
        ).fetchone()
        certificates = Tree(connection, ctlog.LOG).size()
    if head is None:
        raise ValueError("the log has lost its checkpoint")
    signed = checkpoint.parse_checkpoint(note.parse_note(head[0]).text)
    last = next(index.search(database, tlog.LOG, limit=1), None)
    return Status(
        url=state.url,
        origin=state.origin,
        running=is_running(data),
        since=state.start,
        entries=signed.size,
        root=signed.root,
        certificates=certificates,
        last_entry=datetime.fromtimestamp(last.time, UTC) if last and last.time else None,
        keys=tuple(_keys(state)),
        tuf_root=TufRepository(state.keys.tuf, database).root(),
        bytes_used=sum(one.stat().st_size for one in state.folder.rglob("*") if one.is_file()),
    )


def is_running(data: Path) -> bool:
    """Return whether a process serves the instance in `data`."""
    lock = data / "lock"
    if not lock.exists():  # a copy of another folder
        return False
    with lock.open("rb") as stream:
        try:
            files.lock(stream.fileno(), wait=False)
        except BlockingIOError:
            return True
    return False


def _keys(state: State) -> list[Key]:
    found = []
    for service in keys.ROTATED:
        for number, one in enumerate(getattr(state.keys, service), 1):
            chain = getattr(one, "chain", None)
            ends = None if chain is None else chain[0].not_valid_after_utc
            found.append(Key(service, number, one.start, ends, one.key is not None))
    return found


def doctor(data: Path, now: datetime) -> list[Check]:
    """Return what was checked of the instance in `data`; every byte of its logs is read.

    Raises:
        Undecided: there is no instance, or none that can be read at all.
    """
    state = states.started(data)
    checks = [Check("keys", "ok", "All keys are there and fit their certificates.")]
    checks.append(_permissions(data))
    checks.append(_space(data))
    checks.append(_certificates(state, now))
    try:
        with closing(Database(state.database)) as database:
            checks += [
                _caught("log", lambda: _signed_log(state, database)),
                _caught("ct-log", lambda: _whole(database, ctlog.LOG)),
                _caught("clock", lambda: _clock(state, database)),
                _caught("tuf", lambda: _tuf(state, database, now)),
            ]
    except (sqlite3.Error, OSError) as error:
        checks.append(_damaged("database", str(error)))
    running = is_running(data)
    checks.append(
        Check("process", "ok", f"It runs, at {state.url}.") if running
        else Check("process", "warning", "It does not run.", "Start it: modelseal instance up")
    )  # fmt: skip
    return checks


def _caught(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (sqlite3.Error, ValueError, FormatError) as error:
        return _damaged(name, str(error))


def _damaged(name: str, reason: str) -> Check:
    hint = "Stop it and restore a backup: an instance never repairs its log."
    return Check(name, "failed", f"It is damaged: {shown(reason)}.", hint)


def _permissions(data: Path) -> Check:
    paths = [data, *data.rglob("*")]
    open_ones = [one for one in paths if not one.is_symlink() and one.stat().st_mode & 0o077]
    if not open_ones:
        return Check("permissions", "ok", "Only its owner can read the folder.")
    return Check(
        "permissions", "failed", f"Others can read or change {shown(str(open_ones[0]))}.",
        f"chmod -R go= {shown(str(data))}",
    )  # fmt: skip


def _space(data: Path) -> Check:
    free = shutil.disk_usage(data).free
    if free >= _LOW_SPACE:
        return Check("disk", "ok", f"{free >> 30} GiB are free.")
    return Check(
        "disk", "warning", f"Only {free >> 20} MiB are free.",
        "Make room: on a full disk nothing can be signed.",
    )  # fmt: skip


def _certificates(state: State, now: datetime) -> Check:
    ends = {
        "ca": state.keys.ca[-1].chain[0].not_valid_after_utc,
        "tsa": state.keys.tsa[-1].chain[0].not_valid_after_utc,
    }
    service, end = min(ends.items(), key=lambda item: item[1])
    message = f"The certificate of the {service} key ends on {end:%Y-%m-%d}."
    hint = f"Stop the instance, and: modelseal instance rotate {service}"
    if end <= now:
        return Check("certificates", "failed", message, hint)
    return Check("certificates", "warning" if end - now < _SOON else "ok", message, hint)


def _signed_log(state: State, database: Database) -> Check:
    log = tlog.of_state(state, database)
    log.check()
    check = _whole(database, tlog.LOG)
    return Check("log", check.result, f"{check.message} The last checkpoint signs them.")


def _whole(database: Database, name: str) -> Check:
    """Hash the tree `name` anew and compare."""
    known: dict[tuple[int, int], bytes] = {}
    position = 0
    while True:
        with database.reading() as connection:
            tree = Tree(connection, name)
            bodies = tree.bodies(position, _PAGE)
            for body in bodies:
                _compare(tree, position, body, known)
                position += 1
        if not bodies:
            return Check("ct-log", "ok", f"All {position} entries are what was logged.")


def _compare(tree: Tree, position: int, body: bytes, known: dict[tuple[int, int], bytes]) -> None:
    """Compare the nodes that `body` completes; `known` are the subtrees that have no parent yet."""
    made = merkle.completed_by(
        position, merkle.leaf_hash(body), lambda level, place: known.pop((level, place))
    )
    for level, place, value in made:
        if tree.node(level, place) != value:
            raise ValueError(f"entry {position} or an earlier one is not what was logged")
        known[level, place] = value
        known.pop((level - 1, place * 2 + 1), None)


def _clock(state: State, database: Database) -> Check:
    try:
        clock.check(state, ctlog.last_time(database))
    except Undecided as error:
        return Check("clock", "failed", error.message, error.hint)
    return Check("clock", "ok", "The clock is later than the last certificate.")


def _tuf(state: State, database: Database, now: datetime) -> Check:
    try:
        expires = TufRepository(state.keys.tuf, database).expires()
    except ModelSealError as error:
        return _damaged("tuf", error.message)
    if expires <= now:
        return Check(
            "tuf", "warning", f"The TUF metadata expired on {expires:%Y-%m-%d}.",
            "Start the instance: it signs the metadata anew.",
        )  # fmt: skip
    return Check("tuf", "ok", f"The TUF metadata is good until {expires:%Y-%m-%d}.")
