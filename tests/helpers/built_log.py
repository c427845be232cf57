# SPDX-License-Identifier: Apache-2.0
"""A tile-based log that a test builds leaf by leaf, and that may lie in any way."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric import ed25519
from small_server import Said, serving

from modelseal.errors import FormatError
from modelseal.formats import merkle, note, tiles
from modelseal.formats.checkpoint import Checkpoint, format_checkpoint
from modelseal.formats.trusted_root import Period
from modelseal.trust.anchors import Anchors, Log

HOST = "log.test"


class Tree:
    """The leaves of a log, and their hashes."""

    def __init__(self, leaves=()):
        self.leaves, self.nodes = [], {}
        for leaf in leaves:
            self.add(leaf)

    def add(self, leaf):
        made = merkle.completed_by(len(self.leaves), merkle.leaf_hash(leaf), self.node)
        self.nodes |= {(level, place): value for level, place, value in made}
        self.leaves.append(leaf)

    def node(self, level, place):
        return self.nodes[level, place]

    def root(self, size=None):
        return merkle.root(len(self.leaves) if size is None else size, self.node)


class BuiltLog:
    """What is served is what a test last set: a tree, the entries, and who signs."""

    def __init__(self, tree):
        self.tree = tree
        self.entries = None  # None for those of the tree
        self.origin = HOST
        self.key = self.signer = ed25519.Ed25519PrivateKey.generate()
        self.drops_partial = False
        self.asked = []

    def anchors(self, certificate_authorities=()):
        key = self.key.public_key()
        log_id = note.key_id(HOST, note.ED25519, key.public_bytes_raw())
        period = Period(datetime(2020, 1, 1, tzinfo=UTC))
        log = Log(log_id, HOST, key, "pkcs1v15", period, frozenset([log_id[:4]]))
        return Anchors((log,), (), certificate_authorities, ())

    @contextmanager
    def serve(self):
        with serving(self._answer) as url:
            yield url

    def _answer(self, asked):
        self.asked.append(asked.path)
        if asked.path == "/checkpoint":
            return Said(self.checkpoint())
        try:
            tile = tiles.parse_path(asked.path[1:])
        except FormatError:
            return Said(b"", 404)
        partial = tile.width < tiles.WIDTH
        if not tiles.available(tile, len(self.tree.leaves)) or (partial and self.drops_partial):
            return Said(b"", 404)
        first = tile.index * tiles.WIDTH
        if tile.level is None:
            leaves = self.tree.leaves if self.entries is None else self.entries
            return Said(tiles.format_entries(leaves[first : first + tile.width]))
        nodes = (self.tree.node(tile.level * 8, first + at) for at in range(tile.width))
        return Said(b"".join(nodes))

    def checkpoint(self):
        text = format_checkpoint(Checkpoint(self.origin, len(self.tree.leaves), self.tree.root()))
        public = self.signer.public_key().public_bytes_raw()
        hint = note.key_id(self.origin, note.ED25519, public)[:4]
        signature = note.Signature(self.origin, hint, self.signer.sign(text.encode()))
        return note.format_note(note.Note(text, (signature,)))
