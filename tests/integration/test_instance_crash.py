# SPDX-License-Identifier: Apache-2.0
"""The instance is killed again and again while clients sign; nothing that it promised is lost.

A few rounds by default; SOAK_ROUNDS=500 with `make soak`.
"""

from __future__ import annotations

import http.client
import os
import random
import threading

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key
from patience import PATIENCE

from modelseal.formats import checkpoint, merkle, note, tiles
from modelseal.formats.sct import parse_sct_list
from modelseal.formats.strict import b64decode, parse_json
from modelseal.instance import index

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "3"))
CLIENTS = 6
SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"


class Witness:
    """Remembers every promise, and every tree that it was shown; compares the log with them."""

    def __init__(self, trusted_root):
        self.leaves = []
        self.nodes = {}
        self.promises = []
        self.checkpoints = set()
        self.serials = set()
        key = parse_json(trusted_root, what="root", limit=1 << 20)["tlogs"][0]["publicKey"]
        self.key = load_der_public_key(b64decode(key["rawBytes"], what="key"))
        assert isinstance(self.key, ed25519.Ed25519PublicKey)

    def promised(self, entry):
        self.promises.append(entry)
        self.saw(entry["inclusionProof"]["checkpoint"]["envelope"].encode())

    def saw(self, signed):
        head = note.parse_note(signed)
        self.key.verify(head.signatures[0].signature, head.text.encode())
        self.checkpoints.add(checkpoint.parse_checkpoint(head.text))

    def audit(self, client):
        """Read what is new in the log, and check all that was promised meanwhile."""
        signed = client.ask("/checkpoint").body
        self.saw(signed)
        size = checkpoint.parse_checkpoint(note.parse_note(signed).text).size
        assert size >= len(self.leaves)
        self._read(client, size)
        for head in self.checkpoints:
            assert head.size <= size
            assert head.root == merkle.root(head.size, self._node), head
        for entry in self.promises:
            self._check(entry)
        self._audit_certificates(client)
        # All later trees have these leaves: that was just checked.
        self.promises.clear()
        self.checkpoints.clear()
        self.saw(signed)

    def _node(self, level, position):
        return self.nodes[level, position]

    def _read(self, client, size):
        """Append the leaves up to `size`; those that are known must be as they were."""
        for number in range(len(self.leaves) // 256, -(-size // 256)):
            width = min(256, size - number * 256)
            answer = client.ask("/" + tiles.format_path(tiles.Tile(None, number, width)))
            assert answer.status == 200
            for offset, body in enumerate(tiles.parse_entries(answer.body)):
                position = number * 256 + offset
                if position < len(self.leaves):
                    assert body == self.leaves[position]
                    continue
                self.leaves.append(body)
                leaf = merkle.leaf_hash(body)
                for level, place, value in merkle.completed_by(position, leaf, self._node):
                    self.nodes[level, place] = value

    def _check(self, entry):
        body = b64decode(entry["canonicalizedBody"], what="body")
        proof = entry["inclusionProof"]
        position, size = int(entry["logIndex"]), int(proof["treeSize"])
        assert self.leaves[position] == body
        path = [b64decode(item, what="hash") for item in proof["hashes"]]
        root = merkle.root_from_inclusion(merkle.leaf_hash(body), position, size, path)
        assert root == merkle.root(size, self._node)

    def _audit_certificates(self, client):
        size = client.ask("/ct/ct/v1/get-sth").json["tree_size"]
        found = set()
        for start in range(0, size, 256):
            answer = client.ask(f"/ct/ct/v1/get-entries?start={start}&end={start + 255}").json
            for entry in answer["entries"]:
                leaf = b64decode(entry["leaf_input"], what="leaf")
                found.add(index.precertificate(leaf).serial_number)
        assert found >= self.serials


def load(client, token, key, witness, stop_after):
    """Sign from several threads until the server is gone; set `stop_after[1]` after some."""
    count, reached = stop_after
    done = []

    def sign():
        try:
            leaf = client.certificate(token, key)[0]
            scts = [one for one in leaf.extensions if one.oid.dotted_string == SCT_LIST]
            assert parse_sct_list(scts[0].value.public_bytes())
            witness.serials.add(leaf.serial_number)
            while True:
                answer = client.ask("/api/v2/log/entries", client.entry(key, leaf))
                if answer.status == 201:
                    witness.promised(answer.json)
                    done.append(1)
                if len(done) >= count:
                    reached.set()
        except (OSError, http.client.HTTPException):
            return

    threads = [threading.Thread(target=sign) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    return threads


def tear(data, chance):
    """Leave what a write that was under way may leave: something behind the end of the WAL."""
    wal = data / "state" / "log.db-wal"
    if chance.random() < 0.5 and wal.exists():
        with wal.open("ab") as stream:
            stream.write(chance.randbytes(chance.randrange(1, 10_000)))


def test_killed_at_any_point_under_load_it_keeps_every_promise(
    start_instance, raw_client, p256, tmp_path
):
    chance = random.Random(1)
    witness = client = None
    for _ in range(ROUNDS):
        with start_instance(tmp_path) as instance:
            client = raw_client(instance.url)
            if witness is None:
                witness = Witness(instance.trusted_root.read_bytes())
            witness.audit(client)
            reached = threading.Event()
            stop_after = chance.randrange(1, 60), reached
            threads = load(client, instance.token(), p256, witness, stop_after)
            assert reached.wait(PATIENCE)
            threading.Event().wait(chance.random() * 0.05)  # not always just after an answer
            instance.process.kill()
            for thread in threads:
                thread.join()
        tear(instance.data, chance)
    with start_instance(tmp_path):
        witness.audit(client)
    assert len(witness.leaves) > ROUNDS
