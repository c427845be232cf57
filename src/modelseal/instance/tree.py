# SPDX-License-Identifier: Apache-2.0
"""An append-only Merkle tree in the database: leaves, and the hash of every complete subtree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelseal.formats import merkle

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True)
class Tree:
    """The tree named `log` as `connection` sees it; append only inside a transaction."""

    connection: sqlite3.Connection
    log: str

    def size(self) -> int:
        """Return the number of leaves."""
        (last,) = self.connection.execute(
            "SELECT max(position) FROM leaf WHERE log = ?", (self.log,)
        ).fetchone()
        return 0 if last is None else int(last) + 1

    def position(self, leaf_hash: bytes) -> int | None:
        """Return where the leaf with `leaf_hash` is, or None."""
        row = self.connection.execute(
            "SELECT position FROM leaf WHERE log = ? AND hash = ?", (self.log, leaf_hash)
        ).fetchone()
        return None if row is None else int(row[0])

    def append(self, body: bytes) -> int:
        """Add the leaf `body` and return its position; costs O(log n)."""
        position, leaf_hash = self.size(), merkle.leaf_hash(body)
        self.connection.execute(
            "INSERT INTO leaf VALUES (?, ?, ?, ?)", (self.log, position, leaf_hash, body)
        )
        self.connection.executemany(
            "INSERT INTO node VALUES (?, ?, ?, ?)",
            [(self.log, *node) for node in merkle.completed_by(position, leaf_hash, self.node)],
        )
        return position

    def node(self, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree of 2**level leaves."""
        row = self.connection.execute(
            "SELECT hash FROM node WHERE log = ? AND level = ? AND position = ?",
            (self.log, level, position),
        ).fetchone()
        if row is None:
            raise ValueError(f"the {self.log} log has lost a node")
        return bytes(row[0])

    def nodes(self, level: int, first: int, count: int) -> list[bytes]:
        """Return up to `count` subtree hashes of `level`, from `first` on."""
        rows = self.connection.execute(
            "SELECT hash FROM node WHERE log = ? AND level = ? AND position >= ? AND position < ?"
            " ORDER BY position",
            (self.log, level, first, first + count),
        )
        return [bytes(row[0]) for row in rows]

    def bodies(self, first: int, count: int) -> list[bytes]:
        """Return up to `count` leaves from `first` on."""
        rows = self.connection.execute(
            "SELECT body FROM leaf WHERE log = ? AND position >= ? AND position < ?"
            " ORDER BY position",
            (self.log, first, first + count),
        )
        return [bytes(row[0]) for row in rows]

    def root(self, size: int) -> bytes:
        """Return the root hash of the first `size` leaves."""
        return merkle.root(size, self.node)
