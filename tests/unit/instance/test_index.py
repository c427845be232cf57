# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from forge import make_forge

from modelseal.instance import ctlog, index, pki, services, state, tlog
from modelseal.instance.database import Database
from modelseal.instance.tree import Tree

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """The services of an instance that signed three times."""
    forge = make_forge(tmp_path_factory.mktemp("forge") / "data")
    for content in (b"1", b"2", b"3"):
        forge.artifact(content)
    return forge.services


def test_both_logs_know_who_signed(signed):
    database, now = signed.log.database, time.time()
    for log, count in ((tlog.LOG, 3), (ctlog.LOG, 3)):
        rows = list(index.search(database, log, identity="alice@example.com"))
        assert len(rows) == count
        assert {row.issuer for row in rows} == {signed.state.url}
        assert [row.position for row in rows] == sorted(
            (row.position for row in rows), reverse=True
        )
        assert all(abs(row.time - now) < 3600 for row in rows)
        assert list(index.search(database, log, like="*@example.com")) == rows
        assert list(index.search(database, log, like="mallory@*")) == []
        assert list(index.search(database, log, identity="alice@example.com", limit=2)) == rows[:2]
        older = index.search(database, log, like="*@*", before=rows[0].position)
        assert list(older) == rows[1:]
        assert list(index.search(database, log, since=int(now) + 3600)) == []


def test_a_digest_finds_its_entry(signed):
    database = signed.log.database
    (row, *_) = index.search(database, tlog.LOG, like="alice@*")
    assert list(index.search(database, tlog.LOG, digest=row.digest)) == [row]
    assert list(index.search(database, tlog.LOG, digest="00" * 32)) == []


def test_many_rows_come_in_pages(signed, monkeypatch):
    database = signed.log.database
    everything = list(index.search(database, tlog.LOG))
    monkeypatch.setattr(index, "_PAGE", 1)
    assert list(index.search(database, tlog.LOG)) == everything
    assert list(index.search(database, tlog.LOG, limit=2)) == everything[:2]


def test_the_index_of_an_older_log_is_made_at_start(signed):
    database = signed.log.database
    before = {log: list(index.search(database, log)) for log in (tlog.LOG, ctlog.LOG)}
    with database.transaction() as connection:
        connection.execute("DELETE FROM about")
    services.assemble(signed.state, database, None)
    for log, rows in before.items():
        again = list(index.search(database, log))
        assert [(row.position, row.identity, row.digest) for row in again] == [
            (row.position, row.identity, row.digest) for row in rows
        ]
        assert all(abs(row.time - one.time) < 3600 for row, one in zip(again, rows, strict=True)
                   if row.identity)  # fmt: skip


def test_who_issued_a_certificate_decides_whether_its_name_counts(signed):
    """Anybody can log a signature with a certificate of their own for alice."""
    with signed.log.database.reading() as connection:
        bodies = Tree(connection, tlog.LOG).bodies(1, 3)
    other = pki.ca_chain(KEY.public_key(), KEY, datetime.now(UTC))[:1]
    for body in bodies:
        assert index.of_entry(body, signed.log.cas).identity == "alice@example.com"
        for cas in ((), other):
            found = index.of_entry(body, cas)
            assert (found.identity, found.issuer) == ("", "")
            assert found.digest


@pytest.mark.parametrize("der", [b"", b"junk", b"\x30\x80", bytes(100)])
def test_a_certificate_that_cannot_be_read_is_none(der):
    assert index.load(der) is None


def test_the_first_entry_names_nobody(tmp_path):
    state.create(tmp_path, datetime.now(UTC))
    loaded = state.load(tmp_path)
    with closing(Database(loaded.database)) as database:
        index.complete(database, tlog.LOG, lambda body: index.of_entry(body, ()))
        (row,) = index.search(database, tlog.LOG)
        assert (row.position, row.identity, row.digest) == (0, "", "")
