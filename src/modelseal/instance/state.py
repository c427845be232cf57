# SPDX-License-Identifier: Apache-2.0
"""What an instance is, on disk: its keys, its certificates, its name and its URL.

    DIR/lock                 held by the running process
    DIR/state/instance.json  version, url and port, origin, start
    DIR/state/log.db         everything that grows (see database.py)
    DIR/state/keys/*.pem     private keys, and their certificate chains (see keys.py)

`state` appears in one rename, so that it is whole or not there at all. An instance whose keys or
log are lost is refused, not repaired: a new log under an old key is a fork.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import rfc8785

from modelseal import files, outputs
from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.instance import keys as instance_keys
from modelseal.instance.database import Database
from modelseal.instance.tlog import TransparencyLog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Clients compare validity with clocks of their own, so everything is valid an hour before birth.
BACKDATED = timedelta(hours=1)
_SETTINGS_LIMIT = 1 << 16
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_VERSION = 2  # of the folder; 1 was without a number
_WHAT = "instance state"


@dataclass(frozen=True)
class State:
    """An instance at rest. `start` is when everything becomes valid; `url` is empty at birth.

    `port` is where it listened last; a `public` URL was given by the operator and stays whatever
    the port is.
    """

    folder: Path
    url: str
    port: int
    public: bool
    origin: str
    start: datetime
    keys: instance_keys.Keys

    @property
    def database(self) -> Path:
        """Return the path of the SQLite file."""
        return self.folder / "log.db"


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the lock of the data folder `data`, which is created when missing.

    Raises:
        Undecided: another process serves this folder, or it cannot be used.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_owner(data)
        descriptor = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(data, error) from error
    try:
        try:
            is_locked = files.lock(descriptor, wait=False)
        except BlockingIOError as error:
            raise Undecided(
                "instance-locked",
                f"Another process already serves the instance in {shown(str(data))}.",
                "Use that one, stop it first, or give another folder with --data.",
            ) from error
        except OSError as error:
            raise unusable(data, error) from error
        if not is_locked:
            raise Undecided(
                "instance-folder",
                f"The file system of {shown(str(data))} has no locks, so a second process could "
                "serve the same instance and fork its log.",
                "Give a folder on a local disk with --data.",
            )
        yield
    finally:
        os.close(descriptor)


def create(data: Path, now: datetime) -> None:
    """Make the state of a new instance under `data`, unless there is one. Call with the lock held.

    Raises:
        Undecided: the folder cannot be written.
    """
    if (data / "state").exists():
        return
    try:
        for left_over in data.glob(".birth-*"):  # a birth that was interrupted
            shutil.rmtree(left_over)
        nascent = Path(tempfile.mkdtemp(prefix=".birth-", dir=data))
        _give_birth(nascent, (now - BACKDATED).replace(microsecond=0))
        nascent.rename(data / "state")
        outputs.sync_folder(data)
    except (OSError, sqlite3.OperationalError) as error:
        raise unusable(data, error) from error


def load(data: Path) -> State:
    """Return the state under `data`.

    Raises:
        Undecided: there is none, or a part of it is missing or damaged.
    """
    folder = data / "state"
    if not folder.is_dir():
        raise _no_instance(data)
    try:
        return load_folder(folder)
    except (OSError, ValueError, FormatError) as error:
        raise damaged(data, error) from error


def load_folder(folder: Path) -> State:
    """Return the state in `folder`, which is a whole one by its form.

    Raises:
        OSError, ValueError, FormatError: a part is missing or damaged.
        Undecided: a newer modelseal wrote it.
    """
    settings = as_kind(
        parse_json((folder / "instance.json").read_bytes(), what=_WHAT, limit=_SETTINGS_LIMIT),
        dict, what=_WHAT,
    )  # fmt: skip
    _check_version(folder.parent, settings)
    state = _state(folder, settings)
    if not state.database.is_file():
        raise FileNotFoundError("log.db is missing")
    return state


def started(data: Path) -> State:
    """Return the state under `data` of an instance that ran at least once, and so has a URL.

    Raises:
        Undecided: as for `load`, or it never ran.
    """
    state = load(data)
    if not state.url:
        raise _no_instance(data)
    return state


def _check_version(data: Path, settings: dict[str, Any]) -> None:
    version = settings.get("version", 1)
    if isinstance(version, int) and version > _VERSION:
        raise Undecided(
            "instance-newer",
            f"The instance in {shown(str(data))} was written by a newer modelseal "
            f"(version {version} of the folder; this one knows {_VERSION}).",
            "Upgrade modelseal; nothing was changed.",
        )


def _state(folder: Path, settings: dict[str, Any]) -> State:
    url = member(settings, "url", str, what=_WHAT)
    older = settings.get("version", 1) == 1
    start = _moment(member(settings, "start", str, what=_WHAT))
    rotations = {} if older else member(settings, "rotations", dict, what=_WHAT)
    return State(
        folder=folder,
        url=url,
        port=(urlsplit(url).port or 0) if older else member(settings, "port", int, what=_WHAT),
        public=False if older else member(settings, "public", bool, what=_WHAT),
        origin=member(settings, "origin", str, what=_WHAT),
        start=start,
        keys=instance_keys.load(
            folder / "keys",
            {name: [start, *_moments(rotations, name)] for name in instance_keys.ROTATED},
        ),
    )


def _moments(rotations: dict[str, Any], name: str) -> list[datetime]:
    if name not in rotations:
        return []
    listed = member(rotations, name, list, what=_WHAT)
    return [_moment(as_kind(text, str, what=_WHAT)) for text in listed]


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def rotate(data: Path, services: Sequence[str], at: datetime, now: datetime) -> State:
    """Give `services` new keys, which are published at the next start and sign from `at` on.

    Call with the lock held. The settings name the new keys last of all: an interrupted rotation did
    not happen.

    Raises:
        Undecided: as for `load`. UsageError: one of them has a new key that does not sign yet.
    """
    state = load(data)
    rings = {name: getattr(state.keys, name) for name in services}
    for name, ring in rings.items():
        if ring[-1].start > now:
            raise UsageError(
                "rotation-pending",
                f"The {name} key was rotated already: the new one signs from "
                f"{ring[-1].start:{_TIME}} on.",
                "Wait until then; clients have to learn of one key after the other.",
            )
    at = at.replace(microsecond=0)
    try:
        for name, ring in rings.items():
            backdated = (now - BACKDATED).replace(microsecond=0)
            instance_keys.add(state.folder / "keys", name, len(ring) + 1, backdated)
        outputs.sync_folder(state.folder / "keys")
        _write_settings(state, dict.fromkeys(services, at))
    except OSError as error:
        raise unusable(data, error) from error
    return load(data)


def forget_retired(state: State, now: datetime) -> None:
    """Delete the private keys that sign no more, some time after the next ones took over."""
    for name in instance_keys.ROTATED:
        ring = getattr(state.keys, name)
        for number, following in enumerate(ring[1:], 1):
            if following.start + BACKDATED <= now:
                instance_keys.forget(state.folder / "keys", name, number)


def with_url(state: State, url: str, port: int = 0, *, public: bool = False) -> State:
    """Return `state` at `url`, remembered on disk: the URL is part of what clients trust."""
    new = replace(state, url=url, port=port, public=public)
    if new != state:
        _write_settings(new)
    return new


def damaged(data: Path, error: Exception) -> Undecided:
    """Return the refusal to run on a state that is not whole."""
    return Undecided(
        "instance-damaged",
        f"The instance in {shown(str(data))} is damaged: {shown(str(error))}.",
        "Restore the folder from a backup; an instance never repairs its keys or its log.",
    )


def _no_instance(data: Path) -> Undecided:
    return Undecided(
        "no-instance",
        f"There is no instance in {shown(str(data))}.",
        "Start one there with: modelseal instance up --data DIR",
    )


def _give_birth(folder: Path, start: datetime) -> None:
    instance_keys.generate(folder / "keys", start)
    keys = instance_keys.load(folder / "keys", {name: [start] for name in instance_keys.ROTATED})
    # A name that no other log has: clients and witnesses know logs by it.
    origin = f"log-{secrets.token_hex(8)}.modelseal.test"
    key = keys.log[0].key
    assert key is not None  # noqa: S101 - it was just made
    with closing(Database(folder / "log.db")) as database:
        TransparencyLog(key, origin, database).begin()
    _write_settings(State(folder, "", 0, public=False, origin=origin, start=start, keys=keys))


def _write_settings(state: State, rotated: Mapping[str, datetime] | None = None) -> None:
    """Write what `state` is, with one more key for each service that was `rotated`."""
    rotations = {}
    for name in instance_keys.ROTATED:
        starts = [one.start for one in getattr(state.keys, name)[1:]]
        starts += [rotated[name]] if rotated and name in rotated else []
        rotations[name] = [start.strftime(_TIME) for start in starts]
    settings: dict[str, Any] = {
        "version": _VERSION,
        "url": state.url,
        "port": state.port,
        "public": state.public,
        "origin": state.origin,
        "start": state.start.strftime(_TIME),
        "rotations": rotations,
    }
    outputs.write(state.folder / "instance.json", rfc8785.dumps(settings), mode=0o600)


def _check_owner(data: Path) -> None:
    """Refuse a folder in which others could put a state of theirs; `state` itself is 0700."""
    info = data.stat()
    if info.st_uid != os.geteuid() or info.st_mode & stat.S_IWOTH:
        raise Undecided(
            "instance-folder",
            f"Other users can change what is in {shown(str(data))}.",
            "Give a folder of your own with --data.",
        )


def unusable(data: Path, error: OSError | sqlite3.OperationalError) -> Undecided:
    """Return the refusal of a folder that cannot be written, or whose file system lacks locks."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Undecided(
        "instance-folder",
        f"The folder {shown(str(data))} cannot be used: {shown(reason)}.",
        "Give a folder on a local disk that you may write with --data.",
    )
