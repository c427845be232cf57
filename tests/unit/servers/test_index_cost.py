# SPDX-License-Identifier: Apache-2.0
"""The second index costs as little for a folder of many files as for a small one, by count."""

from __future__ import annotations

import shutil
import sys

import pytest

from modelseal.servers import start
from modelseal.servers.mlserver.admissions import _LOOKED_AT, Admissions
from modelseal.servers.mlserver.refusal import Refused

ALLOWANCE = 50  # calls of functions in C, by which two runs of the same may differ


@pytest.fixture
def own(make_site, tmp_path, monkeypatch):
    site = make_site(tmp_path)
    monkeypatch.chdir(site.config)
    return site


def _calls(what):
    """Return how many functions in C were called, system calls among them."""
    count = 0

    def profile(_frame, event, _argument):
        nonlocal count
        count += event == "c_call"

    sys.setprofile(profile)
    try:
        what()
    finally:
        sys.setprofile(None)
    return count


def _fill(folder, count):
    for number in range(count):
        (folder / f"{number}.bin").touch()


def _index(admissions):
    return [admissions.outcome(one, listing=True) for one in admissions.folders()]


def _second(own, name, write):
    """Return how the model that `write` makes is admitted, and what the second index costs."""
    models = own.folder / name
    models.mkdir()
    write(models / "m")
    places = start.checked(
        models, own.config / "policy.toml", own.store, start=own.config, import_path=()
    )
    admissions = Admissions(places)
    (first,) = _index(admissions)
    count = _calls(lambda: _index(admissions))
    (second,) = _index(admissions)
    assert second is first
    return first, count


def test_refused(own):
    def unsigned(count):
        def write(folder):
            folder.mkdir()
            _fill(folder, count)

        return write

    costs = []
    for count in (2000, 4000):
        outcome, cost = _second(own, f"models-{count}", unsigned(count))
        assert outcome.code == "unsigned"
        costs.append(cost)
    assert costs[1] <= costs[0] + ALLOWANCE


def test_accepted(own):
    def accepted(count):
        def write(folder):
            shutil.move(own.write("m"), folder)
            _fill(folder, count)
            own.sign(folder)

        return write

    costs = []
    for count in (2 * _LOOKED_AT, 4 * _LOOKED_AT):
        outcome, cost = _second(own, f"models-{count}", accepted(count))
        assert not isinstance(outcome, Refused), outcome
        costs.append(cost)
    assert costs[1] <= costs[0] + ALLOWANCE


def test_unlistable(own):
    outcome, cost = _second(own, "unlistable", lambda folder: folder.symlink_to("/nowhere"))
    assert outcome.code == "symlink"
    assert cost < 10 * ALLOWANCE


def test_a_change_among_many_is_seen_when_it_is_loaded(own):
    folder = own.write("m")
    _fill(folder, 2 * _LOOKED_AT)
    own.sign(folder)
    places = start.checked(
        own.models, own.config / "policy.toml", own.store, start=own.config, import_path=()
    )
    admissions = Admissions(places)
    assert not isinstance(_index(admissions)[0], Refused)
    for file in folder.glob("*.bin"):
        file.write_text("x")
    (place,) = admissions.folders()
    assert admissions.outcome(place, listing=False).code == "digest-mismatch"
    assert _index(admissions)[0].code == "digest-mismatch"
