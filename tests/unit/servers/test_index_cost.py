# SPDX-License-Identifier: Apache-2.0
"""The second index costs as little for a folder of many files as for a small one, by count."""

from __future__ import annotations

import sys

import pytest

from modelseal.servers import start
from modelseal.servers.mlserver.admissions import _LOOKED_AT, Admissions
from modelseal.servers.mlserver.refusal import Refused

MANY = 20_000
STEPS = 30  # calls of C functions for each entry that is looked at, at most


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


def _second(own, write):
    """Return what the second index costs, with one model that `write` makes."""
    write(own.models)
    places = start.checked(
        own.models, own.config / "policy.toml", own.store, start=own.config, import_path=()
    )
    admissions = Admissions(places)
    (first,) = _index(admissions)
    count = _calls(lambda: _index(admissions))
    (second,) = _index(admissions)
    assert second is first
    return first, count


def _unsigned(models, count):
    (models / "m").mkdir()
    _fill(models / "m", count)


def _unlistable(models):
    (models / "m").symlink_to("/nowhere")


def test_refused(own):
    outcome, few = _second(own, lambda models: _unsigned(models, 3))
    assert isinstance(outcome, Refused)
    assert few < 500


def test_refused_with_many_files(own):
    outcome, many = _second(own, lambda models: _unsigned(models, MANY))
    assert isinstance(outcome, Refused)
    assert many < STEPS * _LOOKED_AT < MANY


def test_many_files_that_are_accepted(own):
    def write(models):
        folder = own.write("m")
        _fill(folder, MANY)
        own.sign(folder)

    outcome, many = _second(own, write)
    assert not isinstance(outcome, Refused)
    assert many < STEPS * _LOOKED_AT


def test_unlistable(own):
    outcome, few = _second(own, _unlistable)
    assert outcome.code == "symlink"
    assert few < 500


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
