# SPDX-License-Identifier: Apache-2.0
"""The file of decisions: one JSON object a line, each with the digest of the line before.

FILE                 the newest entries
FILE.<number>        older ones, by the number of their first entry
FILE.head            the first and the last entry that there are, and the lock of whoever writes

Several processes write to one file. A line that was changed or taken out breaks the chain, one at
the end no longer fits FILE.head. Whoever can write all of these files can make a new chain: to find
that, keep the digest of an entry elsewhere (`chain.verify`).
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from modelseal import outputs
from modelseal.errors import FormatError, Undecided, shown
from modelseal.files import lock
from modelseal.formats.strict import as_kind, member, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

LINE_LIMIT = 64 * 1024  # bytes
_ROTATED = 16 * 1024 * 1024  # bytes from which a new file is begun
_ONE_FILE = timedelta(days=30)  # how old the first entry of a file may be
_HEAD = 256  # bytes, always: a write of them is not cut in two by the end of a process
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_DIGITS = 12  # of a number in the name of a file


class Head(NamedTuple):
    """The numbers of the first and last entry that are kept, and the digest of the last."""

    first: int
    last: int
    digest: str


class Position(NamedTuple):
    """What the next entry follows: the number and digest of an entry, 0 and "" if there is none."""

    number: int = 0
    digest: str = ""


def append(path: Path, values: Mapping[str, Any], keep_days: int) -> None:
    """Add an entry to the log at `path`, on the disk, and remove those older than `keep_days`.

    Raises:
        Undecided: it cannot be written ("log-unwritable").
    """
    with _translated(path), _locked(path) as head_fd:
        head = _read_head(os.pread(head_fd, _HEAD, 0))
        _rotate(path)
        fd = os.open(path, _APPEND, 0o600)
        try:
            size = _whole_size(fd)
            last = _last(fd, size) if size else Position()
            if head is not None and head.last >= last.number:
                last = Position(head.last, head.digest)  # also if lines have gone missing since
            written = _append(fd, size, values, last)
        finally:
            os.close(fd)
        first = head.first if head is not None else written.number
        _remove_old(path, keep_days)
        first = max(first, _first_kept(path))
        _write_head(head_fd, Head(first, written.number, written.digest))


def check_writable(path: Path) -> None:
    """Check that entries can be added, so that no server starts whose decisions would be lost.

    Raises:
        Undecided: they cannot ("log-unwritable").
    """
    with _translated(path), _locked(path):
        os.close(os.open(path, _APPEND, 0o600))


def files_of(path: Path) -> list[Path]:
    """Return the files of the log at `path`, the oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    start = f"{path.name}."
    older = [
        one
        for one in path.parent.iterdir()
        if one.name.startswith(start) and one.name[len(start) :].isdigit()
    ]
    own = [path] if path.exists() else []
    return [*sorted(older, key=lambda one: int(one.name[len(start) :])), *own]


def read_head(path: Path) -> Head | None:
    """Return what the log at `path` says of its first and last entry; None if it says nothing.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with head_of(path).open("rb") as file:
            return _read_head(file.read(_HEAD))
    except FileNotFoundError:
        return None


def head_of(path: Path) -> Path:
    """Return the path of what a log says of its first and last entry."""
    return path.with_name(f"{path.name}.head")


def digest_of(line: bytes) -> str:
    """Return the digest of a line, which the next one has; without the end of the line."""
    return f"sha256:{sha256(line).hexdigest()}"


def parse(line: bytes) -> dict[str, Any]:
    """Return the values in a line.

    Raises:
        FormatError: it is no entry.
    """
    values: dict[str, Any] = as_kind(
        parse_json(line, what="entry", limit=LINE_LIMIT), dict, what="entry"
    )
    member(values, "number", int, what="entry")
    member(values, "previous", str, what="entry")
    return values


def _append(fd: int, size: int, values: Mapping[str, Any], last: Position) -> Position:
    """Write the entry that follows `last`; a write that fails leaves the file as it was."""
    number = last.number + 1
    entry = {"number": number, "previous": last.digest, **values}
    line = json.dumps(entry, separators=(",", ":")).encode()
    if len(line) > LINE_LIMIT:  # unreachable: everything in an entry is bounded
        raise ValueError("an entry is too long")
    os.ftruncate(fd, size)  # a line that was not written to its end
    try:
        rest = memoryview(line + b"\n")
        while rest:
            rest = rest[os.write(fd, rest) :]
        now = datetime.now(UTC).timestamp()  # of the clock that `_remove_old` looks at
        with suppress(PermissionError):  # somebody else's file, which we may only write to
            os.utime(fd, (now, now))
        outputs.sync(fd)
    except BaseException:
        os.ftruncate(fd, size)
        raise
    return Position(number, digest_of(line))


def _whole_size(fd: int) -> int:
    """Return where the last whole line ends; whoever wrote one behind it was killed."""
    size = os.fstat(fd).st_size
    start = max(size - LINE_LIMIT - 1, 0)
    tail = os.pread(fd, size - start, start)
    return start + tail.rfind(b"\n") + 1


def _last(fd: int, size: int) -> Position:
    start = max(size - LINE_LIMIT - 1, 0)
    line = os.pread(fd, size - start - 1, start).rpartition(b"\n")[2]
    try:
        return Position(parse(line)["number"], digest_of(line))
    except FormatError:
        return Position()  # it was changed, which whoever verifies the log is told


def _rotate(path: Path) -> None:
    """Put the file away if it is large, or its first entry old."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            first = file.readline(LINE_LIMIT)
    except FileNotFoundError:
        return
    try:
        values = parse(first)
        age = datetime.now(UTC) - datetime.fromisoformat(values["time"])
    except (FormatError, KeyError, TypeError, ValueError):
        return
    if size >= _ROTATED or age > _ONE_FILE:
        path.rename(path.with_name(f"{path.name}.{values['number']:0{_DIGITS}}"))
        outputs.sync_folder(path.parent)


def _remove_old(path: Path, keep_days: int) -> None:
    oldest = datetime.now(UTC).timestamp() - timedelta(days=keep_days).total_seconds()
    for one in files_of(path):
        if one == path or one.stat().st_mtime >= oldest:  # when its last entry was added
            return
        one.unlink()


def _first_kept(path: Path) -> int:
    """Return the number of the oldest entry, 0 if the files do not say."""
    oldest = files_of(path)[0]
    if oldest == path:
        return 0 if not oldest.stat().st_size else _number_of_first(oldest)
    return int(oldest.name.rpartition(".")[2])


def _number_of_first(path: Path) -> int:
    with path.open("rb") as file, suppress(FormatError):
        number: int = parse(file.readline(LINE_LIMIT).rstrip(b"\n"))["number"]
        return number
    return 0


def _read_head(data: bytes) -> Head | None:
    try:
        values = as_kind(parse_json(data, what="head", limit=_HEAD), dict, what="head")
        first, last = (member(values, name, int, what="head") for name in ("first", "last"))
        return Head(first, last, member(values, "digest", str, what="head"))
    except FormatError:
        return None


def _write_head(fd: int, head: Head) -> None:
    text = json.dumps(head._asdict()).ljust(_HEAD - 1) + "\n"
    os.pwrite(fd, text.encode(), 0)
    outputs.sync(fd)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Give the descriptor of the head, held by this thread alone."""
    fd = os.open(head_of(path), _LOCK, 0o600)
    try:
        lock(fd)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or "input/output error"
        raise Undecided(
            "log-unwritable",
            f"The log of decisions '{shown(str(path))}' cannot be written: {reason}.",
            "Nothing is admitted that cannot be written down. Check the folder, its permissions "
            "and its space; [log] of the policy names it.",
        ) from error
