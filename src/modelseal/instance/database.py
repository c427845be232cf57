# SPDX-License-Identifier: Apache-2.0
"""Everything of an instance that grows, in one SQLite file.

A commit is on disk before it returns (WAL with synchronous=FULL). Tiles, proofs and TUF files are
read from here whenever asked for: they cannot disagree with it after a crash.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf (
    log TEXT NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (log, position), UNIQUE (log, hash)) STRICT;
CREATE TABLE IF NOT EXISTS node (
    log TEXT NOT NULL, level INTEGER NOT NULL, position INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (log, level, position)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (
    log TEXT PRIMARY KEY, checkpoint BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tuf_file (
    role TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (role, version)) STRICT;
CREATE TABLE IF NOT EXISTS tuf_target (
    path TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT;
"""


class Database:
    """One connection, shared by all threads, one at a time: no query here takes a millisecond."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._lock = threading.RLock()
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

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one committed state, with no writer in between."""
        with self._lock:
            yield self._connection

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self._connection.close()
