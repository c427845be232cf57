# SPDX-License-Identifier: Apache-2.0
"""Requests that come together share a transaction, and nothing else."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from patience import PATIENCE, wait_until

from modelseal.formats import checkpoint, merkle, note
from modelseal.formats.strict import b64decode
from modelseal.instance.database import Database
from modelseal.instance.entries import Entry
from modelseal.instance.refused import Refused
from modelseal.instance.tlog import TransparencyLog


class Gated(Database):
    """Holds the first batch back until `count` more requests wait; counts transactions."""

    def __init__(self, path):
        super().__init__(path)
        self.transactions = 0
        self.wait_for = None

    def _commit_waiting(self):
        if self.wait_for is not None:
            count, self.wait_for = self.wait_for, None
            wait_until(lambda: len(self._waiting) >= count, f"{count} requests")
        self.transactions += 1
        super()._commit_waiting()


@pytest.fixture
def database(tmp_path):
    database = Gated(tmp_path / "log.db")
    yield database
    database.close()


@pytest.fixture
def log(database):
    log = TransparencyLog(ed25519.Ed25519PrivateKey.generate(), "log.test", database)
    log.begin()
    return log


def add_together(log, bodies):
    """Return what came of each entry: a promise or an exception."""
    log.database.wait_for = len(bodies)

    def add(body):
        try:
            return log.add(Entry("hashedrekord", body))
        except Exception as error:  # noqa: BLE001 - what it is, is the test
            return error

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(add, bodies, timeout=PATIENCE))


def check_promise(log, promise):
    proof = promise["inclusionProof"]
    head = note.parse_note(proof["checkpoint"]["envelope"].encode())
    log.key.public_key().verify(head.signatures[0].signature, head.text.encode())
    text = checkpoint.parse_checkpoint(head.text)
    leaf = merkle.leaf_hash(b64decode(promise["canonicalizedBody"], what="body"))
    path = [b64decode(item, what="hash") for item in proof["hashes"]]
    size, position = int(proof["treeSize"]), int(promise["logIndex"])
    assert (text.size, text.root) == (size, b64decode(proof["rootHash"], what="root"))
    assert merkle.root_from_inclusion(leaf, position, size, path) == text.root
    return size, position


def test_two_hundred_signers_share_one_sync_and_one_checkpoint(log):
    bodies = [f"entry {number}".encode() for number in range(200)]
    promises = add_together(log, bodies)
    assert log.database.transactions == 1
    sizes, positions = zip(*(check_promise(log, promise) for promise in promises), strict=True)
    assert set(sizes) == {201}
    assert sorted(positions) == list(range(1, 201))
    assert len({promise["inclusionProof"]["checkpoint"]["envelope"] for promise in promises}) == 1
    log.check()


def test_more_than_a_batch_are_served_all_the_same(log):
    promises = add_together(log, [f"entry {number}".encode() for number in range(300)])
    assert log.database.transactions == 2
    assert sorted(check_promise(log, promise)[1] for promise in promises) == list(range(1, 301))


def test_a_duplicate_is_refused_alone(log):
    log.add(Entry("hashedrekord", b"known"))
    results = add_together(log, [b"same", b"other", b"same", b"known", b"same"])
    refused = [one for one in results if isinstance(one, Refused)]
    assert [one.code for one in refused] == ["already-logged"] * 3
    promises = [one for one in results if isinstance(one, dict)]
    assert sorted(check_promise(log, promise)[1] for promise in promises) == [2, 3]
    log.check()


def test_what_cannot_be_written_is_promised_to_nobody(log, monkeypatch):
    before = log.checkpoint()
    with monkeypatch.context() as patched:

        def full(*_):
            raise sqlite3.OperationalError("database or disk is full")

        patched.setattr(TransparencyLog, "_commit_to", full)
        results = add_together(log, [b"1", b"2", b"3"])
    assert {type(one) for one in results} == {sqlite3.OperationalError}
    assert log.checkpoint() == before
    log.check()
    assert check_promise(log, log.add(Entry("hashedrekord", b"1"))) == (2, 1)


def test_a_lone_request_waits_for_nobody(log):
    done = threading.Event()

    def add():
        log.add(Entry("hashedrekord", b"alone"))
        done.set()

    threading.Thread(target=add, daemon=True).start()
    assert done.wait(PATIENCE)
