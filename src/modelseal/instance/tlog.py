# SPDX-License-Identifier: Apache-2.0
"""The transparency log: entries in, inclusion proofs and checkpoints out, tiles for monitors.

Leaves, their tree nodes and the checkpoint over them are one transaction, so that what a client was
given is on disk, and no checkpoint was ever seen that a restart does not know of.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature

from modelseal.formats import merkle, note, tiles
from modelseal.formats.checkpoint import Checkpoint, format_checkpoint
from modelseal.formats.strict import b64encode
from modelseal.instance import entries, index
from modelseal.instance.refused import Refused
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ed25519

    from modelseal.instance.database import Batch, Database
    from modelseal.instance.keys import LogKey
    from modelseal.instance.state import State

LOG = "log"
_HASHES_LEVELS = 8  # a tile spans 2**8 subtrees


@dataclass(frozen=True)
class _Head:
    """The tree after a batch; `nodes` are those that its proofs needed so far."""

    tree: Tree
    size: int
    root: bytes
    checkpoint: bytes
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def node(self, level: int, position: int) -> bytes:
        """Return the hash of a complete subtree, asking the database once."""
        key = level, position
        if key not in self.nodes:
            self.nodes[key] = self.tree.node(level, position)
        return self.nodes[key]


@dataclass(frozen=True)
class TransparencyLog:
    """A log with an Ed25519 key: witnesses (C2SP tlog-witness) take no other."""

    key: ed25519.Ed25519PrivateKey
    origin: str
    database: Database
    former: tuple[ed25519.Ed25519PublicKey, ...] = ()  # keys of earlier checkpoints
    cas: tuple[x509.Certificate, ...] = ()  # who issues certificates whose identities count

    def log_id(self) -> bytes:
        """Return the key id (C2SP signed-note); clients know the log by it."""
        return key_id(self.origin, self.key.public_key())

    def _key_hash(self) -> bytes:
        return self.log_id()[: note.KEY_HASH_SIZE]

    def begin(self) -> None:
        """Log the first leaf. Only at birth: an empty log later on is a lost one."""
        with self.database.transaction() as connection:
            tree = Tree(connection, LOG)
            tree.append(entries.genesis(self.origin).body)
            self._commit_to(tree)

    def check(self) -> None:
        """Check that the tree is the one that was signed last, by this key or a former one.

        Raises:
            ValueError: it is another one, or a part is missing.
        """
        with self.database.reading() as connection:
            tree = Tree(connection, LOG)
            head = note.parse_note(self._head(tree))
            if head.text != self._text(tree) or not self._is_signed(head):
                raise ValueError("the log or its key is not the one of its last checkpoint")

    def checked_size(self) -> int:
        """Return the size of the log after `check`.

        Raises:
            ValueError: as `check`.
        """
        self.check()
        with self.database.reading() as connection:
            return Tree(connection, LOG).size()

    def take_over(self) -> None:
        """Sign the last checkpoint with this key, if a former one did."""
        with self.database.transaction() as connection:
            tree = Tree(connection, LOG)
            if note.parse_note(self._head(tree)).signatures[0].key_hash != self._key_hash():
                self._commit_to(tree)

    def _is_signed(self, head: note.Note) -> bool:
        for public in (self.key.public_key(), *self.former):
            for signature in head.signatures:
                if signature.key_hash == key_id(self.origin, public)[: note.KEY_HASH_SIZE]:
                    try:
                        public.verify(signature.signature, head.text.encode())
                    except InvalidSignature:
                        return False
                    return True
        return False

    def add(self, entry: entries.Entry, now: float | None = None) -> dict[str, Any]:
        """Log `entry` and return its `TransparencyLogEntry` in protobuf's JSON form.

        Entries that come at the same time share a checkpoint, and the write to the disk.

        Raises:
            Refused: it is in the log already.
        """
        moment = int(time.time() if now is None else now)
        found = index.of_entry(entry.body, self.cas)

        def append(batch: Batch) -> int:
            tree = Tree(batch.connection, LOG)
            known = tree.position(merkle.leaf_hash(entry.body))
            if known is not None:
                raise Refused(
                    409, "already-logged", f"An equivalent entry already exists at index {known}."
                )
            position = tree.append(entry.body)
            index.insert(batch.connection, LOG, position, moment, found)
            return position

        def prove(batch: Batch, position: int) -> dict[str, Any]:
            head = batch.memo.get(LOG)
            if head is None:
                tree = Tree(batch.connection, LOG)
                size = tree.size()
                head = batch.memo[LOG] = _Head(tree, size, tree.root(size), self._commit_to(tree))
            return self._promise(entry, position, head)

        return self.database.together(append, prove)

    def _promise(self, entry: entries.Entry, position: int, head: _Head) -> dict[str, Any]:
        proof = merkle.inclusion_proof(position, head.size, head.node)
        return {
            "logIndex": str(position),
            "logId": {"keyId": b64encode(self.log_id())},
            "kindVersion": {"kind": entry.kind, "version": entries.API_VERSION},
            "integratedTime": "0",  # version 2 logs leave time to timestamp authorities
            "inclusionProof": {
                "logIndex": str(position),
                "rootHash": b64encode(head.root),
                "treeSize": str(head.size),
                "hashes": [b64encode(item) for item in proof],
                "checkpoint": {"envelope": head.checkpoint.decode()},
            },
            "canonicalizedBody": b64encode(entry.body),
        }

    def checkpoint(self) -> bytes:
        """Return the last signed checkpoint."""
        with self.database.reading() as connection:
            return self._head(Tree(connection, LOG))

    def tile(self, tile: tiles.Tile) -> bytes:
        """Return the bytes of `tile`.

        Raises:
            Refused: the log has not grown that far.
        """
        with self.database.reading() as connection:
            tree = Tree(connection, LOG)
            if not tiles.available(tile, tree.size()):
                raise Refused(404, "no-tile", "The log has not grown that far.")
            first = tile.index * tiles.WIDTH
            if tile.level is None:
                return tiles.format_entries(tree.bodies(first, tile.width))
            return b"".join(tree.nodes(tile.level * _HASHES_LEVELS, first, tile.width))

    def _head(self, tree: Tree) -> bytes:
        row = tree.connection.execute(
            "SELECT checkpoint FROM head WHERE log = ?", (LOG,)
        ).fetchone()
        if row is None:
            raise ValueError("the log has lost its checkpoint")
        return bytes(row[0])

    def _commit_to(self, tree: Tree) -> bytes:
        signed = self._sign(tree)
        tree.connection.execute("INSERT OR REPLACE INTO head VALUES (?, ?)", (LOG, signed))
        return signed

    def _text(self, tree: Tree) -> str:
        size = tree.size()
        return format_checkpoint(Checkpoint(self.origin, size, tree.root(size)))

    def _sign(self, tree: Tree) -> bytes:
        text = self._text(tree)
        signature = note.Signature(self.origin, self._key_hash(), self.key.sign(text.encode()))
        return note.format_note(note.Note(text, (signature,)))


def key_id(origin: str, key: ed25519.Ed25519PublicKey) -> bytes:
    """Return the key id by which entries and checkpoints name a log (C2SP signed-note)."""
    return note.key_id(origin, note.ED25519, key.public_bytes_raw())


def of_state(state: State, database: Database, signer: LogKey | None = None) -> TransparencyLog:
    """Return the log of `state` with the key of `signer`, or its newest.

    Raises:
        ValueError: that key is missing.
    """
    key = (signer or state.keys.log[-1]).key
    if key is None:
        raise ValueError("the log has no private key")
    return TransparencyLog(
        key, state.origin, database,
        former=tuple(one.public for one in state.keys.log),
        cas=tuple(one.chain[0] for one in state.keys.ca),
    )  # fmt: skip
