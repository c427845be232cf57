# SPDX-License-Identifier: Apache-2.0
"""Look after a store: what is in it, whether it is unchanged, and what can go."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from modelseal.admission import history, leases
from modelseal.admission import store as stores
from modelseal.errors import ModelSealError, Undecided, UsageError, shown
from modelseal.model import manifest
from modelseal.model.digests import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.model.digests import Reading
    from modelseal.policy.rules import StoreRules

    State = Literal["unchanged", "altered", "unreadable"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SHORTEST = 8  # characters that may stand for a digest
_DAY = 86_400  # seconds


class Stored(NamedTuple):
    """A snapshot as it lies in the store; `size` is what it takes on the disk, in bytes."""

    digest: str
    model: str
    size: int
    files: int
    last_used: float
    in_use: bool


class Checked(NamedTuple):
    """What became of a snapshot since it was made, and in words what is wrong with it."""

    digest: str
    model: str
    state: State
    detail: str = ""


def opened(store: Path) -> Path:
    """Return the real path of a store that exists, checked to be private.

    Raises:
        UsageError: there is none, or it is not private. Undecided: it cannot be used.
    """
    with stores.translated(store):
        if not store.is_dir():
            message = f"There is no store '{shown(str(store))}'."
            raise UsageError("not-found", message, "Name the folder that servers use as store.")
    return stores.prepare(store)


def tidy(store: Path) -> None:
    """Remove what processes left behind when they were killed.

    Raises:
        Undecided: the store cannot be used.
    """
    stores.sweep(store)
    history.sweep(store)
    leases.sweep(store, set(digests(store)))


def digests(store: Path) -> list[str]:
    """Return the names of the snapshots in the store, sorted.

    Raises:
        Undecided: the store cannot be read.
    """
    with stores.translated(store):
        return sorted(one.name for one in store.iterdir() if _DIGEST.fullmatch(one.name))


def listed(store: Path) -> list[Stored]:
    """Return what is in the store, the least recently used first.

    Raises:
        Undecided: the store cannot be read.
    """
    found = []
    for digest in digests(store):
        with suppress(FileNotFoundError):  # removed meanwhile
            found.append(_stored(store, digest))
    return sorted(found, key=lambda one: (one.last_used, one.digest))


def verify(store: Path, digest: str, reading: Reading = PLAIN) -> Checked:
    """Return whether the snapshot `digest` still is what was admitted.

    Its name says what that was. Also a file more than was admitted makes it altered.
    """
    record = leases.read_record(store, digest)
    try:
        contents = manifest.of_folder(store / digest, how=record.how, reading=reading)
    except Undecided as error:
        return Checked(digest, record.model, "unreadable", error.message)
    except ModelSealError as error:
        return Checked(digest, record.model, "altered", error.message)
    if stores.digest_of(contents.manifest) != digest:
        message = "The files are not the ones that were admitted."
        return Checked(digest, record.model, "altered", message)
    return Checked(digest, record.model, "unchanged")


def check_unchanged(store: Path, digest: str, reading: Reading = PLAIN) -> None:
    """Check that the snapshot `digest` still is what was admitted.

    Raises:
        Undecided: it is not ("store-altered"), or cannot be read.
    """
    checked = verify(store, digest, reading)
    if checked.state != "unchanged":
        raise Undecided(
            "store-altered",
            f"The copy {digest[:12]} in the store '{shown(str(store))}' was altered: "
            f"{checked.detail}",
            f"Find out who changed the store; then: modelseal store remove {digest[:12]}",
        )


def collect(
    store: Path, *, keep_days: int | None = None, max_size: int | None = None
) -> list[Stored]:
    """Remove what no process uses; return what was removed.

    What was last asked for more than `keep_days` ago goes; then, the least recently used first, as
    much as it takes for the rest to have at most `max_size` bytes. What is in use counts and stays.

    Raises:
        Undecided: the store cannot be used, or its file system has no locks.
    """
    tidy(store)
    found = listed(store)
    total = sum(one.size for one in found)
    oldest = None if keep_days is None else time.time() - keep_days * _DAY
    removed = []
    for one in found:
        is_old = oldest is not None and one.last_used < oldest
        is_too_much = max_size is not None and total > max_size
        if (is_old or is_too_much) and _removed(store, one.digest):
            total -= one.size
            removed.append(one)
    return removed


def keep_within(store: Path, rules: StoreRules, size: int = 0) -> None:
    """Remove what the policy does not want to keep, with room for `size` bytes more.

    Raises:
        Undecided: the store cannot be used.
    """
    limit = None if rules.max_size is None else max(rules.max_size - size, 0)
    if rules.keep_days is None and limit is None:
        tidy(store)
    else:
        collect(store, keep_days=rules.keep_days, max_size=limit)


def make_room(store: Path, rules: StoreRules, size: int) -> None:
    """Let a model of `size` bytes be copied into the store.

    Raises:
        Undecided: it does not fit into what the policy lets the store grow to ("store-full").
    """
    keep_within(store, rules, size)
    if rules.max_size is None:
        return
    if sum(one.size for one in listed(store)) + size > rules.max_size:
        raise Undecided(
            "store-full",
            f"A model of {size:,} bytes does not fit into the {rules.max_size:,} that the policy "
            f"lets the store '{shown(str(store))}' have.",
            "Unload models that are no longer needed, or raise max_size in [store] of the policy.",
        )


def remove(store: Path, digest: str) -> Stored:
    """Remove the snapshot whose digest begins with `digest`; return what it was.

    Raises:
        UsageError: there is none, or more than one. Undecided: it is in use, or cannot be removed.
    """
    found = _stored(store, named(store, digest))
    if not _removed(store, found.digest):
        raise Undecided(
            "snapshot-in-use",
            f"The snapshot {found.digest[:12]} is used by a process.",
            "Unload the model or stop its server, then try again.",
        )
    return found


def named(store: Path, start: str) -> str:
    """Return the digest of the one snapshot whose digest begins with `start`.

    Raises:
        UsageError: there is none, or more than one ("no-such-snapshot"). Undecided: as `digests`.
    """
    matches = [one for one in digests(store) if one.startswith(start)]
    if len(start) >= _SHORTEST and len(matches) == 1:
        return matches[0]
    what = "Several snapshots begin" if len(matches) > 1 else "No snapshot begins"
    message = f"{what} with '{shown(start)}'."
    if len(start) < _SHORTEST:
        message = f"'{shown(start)}' is too short for the digest of a snapshot."
    raise UsageError("no-such-snapshot", message, "See: modelseal store list")


def _removed(store: Path, digest: str) -> bool:
    """Remove the snapshot `digest` if nobody uses it; return whether it is gone."""
    try:
        with leases.unused(store, digest):
            if (store / digest).exists():
                stores.withdraw(store / digest)
            return True
    except BlockingIOError:
        return False


def _stored(store: Path, digest: str) -> Stored:
    sizes = list(_sizes(store / digest))
    model, used = leases.read_record(store, digest).model, leases.last_used(store, digest)
    return Stored(digest, model, sum(sizes), len(sizes), used, leases.is_used(store, digest))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        status = path.lstat()
        if not path.is_dir():
            yield status.st_blocks * 512
