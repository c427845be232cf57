# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from modelseal.errors import Undecided
from modelseal.instance import clock, ctlog, state
from modelseal.instance.database import Database
from modelseal.instance.refused import Refused


def test_the_clock_stands_still_for_a_moment_and_then_refuses(monkeypatch):
    steady = clock.SteadyClock(0.0)
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    assert steady() == 1000.0
    monkeypatch.setattr(time, "time", lambda: 998.0)
    assert steady() == 1000.0
    monkeypatch.setattr(time, "time", lambda: 900.0)
    with pytest.raises(Refused) as caught:
        steady()
    assert (caught.value.status, caught.value.code) == (503, "clock")
    monkeypatch.setattr(time, "time", lambda: 1001.0)
    assert steady() == 1001.0


def test_it_does_not_start_before_its_last_certificate(tmp_path):
    now = datetime.now(UTC)
    state.create(tmp_path, now)
    loaded = state.load(tmp_path)
    with closing(Database(loaded.database)) as database:
        assert ctlog.last_time(database) == 0.0
        log = ctlog.CtLog(loaded.keys.ct[0].key, database)
        log.add(b"certificate", loaded.keys.ca[0].chain[0], now.timestamp())
        last = ctlog.last_time(database)
        assert last == pytest.approx(now.timestamp(), abs=0.002)
    clock.check(loaded, last)
    with pytest.raises(Undecided, match="issued a certificate at") as caught:
        clock.check(loaded, last + 3600)
    assert caught.value.code == "clock"


@pytest.mark.parametrize("age", [timedelta(days=-1), timedelta(days=4000)])
def test_it_does_not_start_outside_its_certificates(tmp_path, age):
    state.create(tmp_path, datetime.now(UTC) - age)
    with pytest.raises(Undecided) as caught:
        clock.check(state.load(tmp_path), 0.0)
    assert caught.value.code == "clock"
