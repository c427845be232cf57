# SPDX-License-Identifier: Apache-2.0
"""Everything of an instance that grows, in one SQLite file.

A commit is on disk before it returns (WAL with synchronous=FULL). Tiles, proofs and TUF files are
read from here whenever asked for: they cannot disagree with it after a crash.

What grows the logs is committed in batches: whatever is asked for while one batch is on its way to
the disk makes up the next. A lone request does not wait for others, and many share one sync.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from modelseal.errors import ModelSealError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

V = TypeVar("V")
T = TypeVar("T")
_MAX_BATCH = 256

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf (
    log TEXT NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (log, position), UNIQUE (log, hash)) STRICT;
CREATE TABLE IF NOT EXISTS node (
    log TEXT NOT NULL, level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (log, level, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (
    log TEXT PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS about (
    log TEXT NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,
    identity TEXT NOT NULL, issuer TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (log, position)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS about_identity ON about (log, identity, position);
CREATE INDEX IF NOT EXISTS about_digest ON about (log, digest, position);
CREATE TABLE IF NOT EXISTS tuf_file (
    role TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (role, version)) STRICT;
CREATE TABLE IF NOT EXISTS tuf_target (
    path TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""


@dataclass
class Batch:
    """A transaction that several requests share; `memo` is for what needs doing only once in it."""

    connection: sqlite3.Connection
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Job(Generic[V, T]):
    """What one request wants: `work` for all of the batch first, then `conclude` for all."""

    work: Callable[[Batch], V]
    conclude: Callable[[Batch, V], T]
    value: V | None = None
    result: T | None = None
    error: BaseException | None = None
    done: bool = False


class Database:
    """One connection, shared by all threads, one at a time: no query here takes a millisecond."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._turn = threading.Lock()
        self._waiting: deque[_Job[Any, Any]] = deque()
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit what is done inside, all of it or, after an exception, nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it already
                    self._connection.execute("ROLLBACK")
                raise

    def together(self, work: Callable[[Batch], V], conclude: Callable[[Batch, V], T]) -> T:
        """Do `work` in a transaction with that of other threads, and then `conclude`.

        Both run once. When this returns, what they wrote is on disk. A `ModelSealError` of `work`,
        which must not have written anything by then, is for this caller alone; any other exception
        undoes the batch and is raised for all of it.
        """
        job = _Job(work, conclude)
        self._waiting.append(job)
        with self._turn:  # whoever waits here is done by the one before, or does the next batch
            while not job.done:  # more may have come before than fit into one batch
                self._commit_waiting()
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value] # it is set: the job is done

    def _commit_waiting(self) -> None:
        jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MAX_BATCH))]
        try:
            with self.transaction() as connection:
                _do(jobs, Batch(connection))
        except BaseException as error:  # noqa: BLE001 - raised again, by each of them
            for job in jobs:
                job.error = job.error or error
        for job in jobs:
            job.done = True

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one committed state, with no writer in between."""
        with self._lock:
            yield self._connection

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self._connection.close()


def _do(jobs: list[_Job[Any, Any]], batch: Batch) -> None:
    for job in jobs:
        try:
            job.value = job.work(batch)
        except ModelSealError as error:
            job.error = error
    for job in jobs:
        if job.error is None:
            job.result = job.conclude(batch, job.value)
