# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from modelseal.formats import checkpoint, merkle, note, tiles
from modelseal.instance.database import Database
from modelseal.instance.entries import Entry
from modelseal.instance.refused import Refused
from modelseal.instance.tlog import TransparencyLog


@pytest.fixture
def log(tmp_path):
    database = Database(tmp_path / "log.db")
    log = TransparencyLog(ed25519.Ed25519PrivateKey.generate(), "log.test", database)
    log.begin()
    yield log
    database.close()


def entry(number):
    return Entry("hashedrekord", f"entry {number}".encode())


def test_the_checkpoint_is_signed_by_the_key_that_it_names(log):
    signed = note.parse_note(log.checkpoint())
    (signature,) = signed.signatures
    assert signature.name == "log.test"
    assert signature.key_hash == log.log_id()[:4]
    log.key.public_key().verify(signature.signature, signed.text.encode())
    assert checkpoint.parse_checkpoint(signed.text).size == 1


def test_tiles_across_their_borders(log):
    for number in range(1, 600):
        log.add(entry(number))
    assert log.tile(tiles.Tile(None, 1)) == tiles.format_entries(
        [entry(number).body for number in range(256, 512)]
    )
    level0 = b"".join(log.tile(tiles.Tile(0, index)) for index in range(2))
    hashes = [level0[at : at + 32] for at in range(0, len(level0), 32)]
    level1 = log.tile(tiles.Tile(1, 0, 2))
    assert level1 == naive(hashes[:256]) + naive(hashes[256:])
    for tile in (tiles.Tile(0, 2), tiles.Tile(1, 0, 3), tiles.Tile(2, 0, 1), tiles.Tile(None, 9)):
        with pytest.raises(Refused) as error:
            log.tile(tile)
        assert error.value.status == 404
    log.check()


def naive(hashes):
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [merkle.node_hash(left, right) for left, right in pairs]
    return hashes[0]


def test_many_threads_get_an_index_each(log):
    indices = []

    def add(first):
        indices.extend(int(log.add(entry(first + i))["logIndex"]) for i in range(20))

    threads = [threading.Thread(target=add, args=(number * 100,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(indices) == list(range(1, 161))
    log.check()


def test_a_failure_in_the_middle_leaves_nothing_behind(log, monkeypatch):
    log.add(entry(1))
    before = log.checkpoint()
    with monkeypatch.context() as patch:
        patch.setattr(merkle, "root", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            log.add(entry(2))
    assert log.checkpoint() == before
    log.check()
    assert log.add(entry(2))["logIndex"] == "2"


@pytest.mark.parametrize("size", [10**3, 10**5, 10**9])
def test_an_append_costs_the_logarithm_of_the_log(size):
    asked = []

    def node(level, index):
        asked.append((level, index))
        return bytes(32)

    for index in range(size - 3, size + 1):
        list(merkle.completed_by(index, bytes(32), node))
        merkle.root(index + 1, node)
        merkle.inclusion_proof(index, index + 1, node)
    assert len(asked) < 4 * 3 * size.bit_length()
