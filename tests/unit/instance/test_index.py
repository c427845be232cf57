# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from forge import make_forge

from modelseal.instance import ctlog, index, services, state, tlog
from modelseal.instance.database import Database


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
        assert list(index.search(database, log, identity="*@example.com")) == rows
        assert list(index.search(database, log, identity="mallory@*")) == []
        assert list(index.search(database, log, identity="alice@example.com", limit=2)) == rows[:2]
        older = index.search(database, log, identity="*@*", before=rows[0].position)
        assert list(older) == rows[1:]
        assert list(index.search(database, log, since=int(now) + 3600)) == []


def test_a_digest_finds_its_entry(signed):
    database = signed.log.database
    (row, *_) = index.search(database, tlog.LOG, identity="alice@*")
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


def test_the_first_entry_names_nobody(tmp_path):
    state.create(tmp_path, datetime.now(UTC))
    loaded = state.load(tmp_path)
    with closing(Database(loaded.database)) as database:
        index.complete(database, tlog.LOG)
        (row,) = index.search(database, tlog.LOG)
        assert (row.position, row.identity, row.digest) == (0, "", "")
