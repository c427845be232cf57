# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from modelseal import outputs
from modelseal.errors import Undecided, UsageError
from modelseal.formats import note
from modelseal.instance import entries, keys, services, state, trust
from modelseal.instance.database import Database

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
WEEK = 7 * DAY


@pytest.fixture
def data(tmp_path):
    state.create(tmp_path, NOW - 30 * DAY)
    state.with_url(state.load(tmp_path), "http://127.0.0.1:1")
    return tmp_path


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now.timestamp()


def add(running, body):
    entry = running.log.add(entries.Entry("hashedrekord", body))
    return entry["logId"]["keyId"]


def test_new_keys_are_published_before_they_sign(data):
    before = trust.trusted_root(state.load(data))
    rotated = state.rotate(data, keys.ROTATED, NOW + WEEK, NOW)
    root = trust.trusted_root(rotated)
    for name in ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"):
        old, new = root[name]
        validity = [one["publicKey"]["validFor"] if "publicKey" in one else one["validFor"]
                    for one in (old, new)]  # fmt: skip
        overlap = timedelta(hours=1)
        assert validity[0]["end"] == f"{NOW + WEEK + overlap:%Y-%m-%dT%H:%M:%SZ}"
        assert validity[1] == {"start": f"{NOW + WEEK - overlap:%Y-%m-%dT%H:%M:%SZ}"}
        del validity[0]["end"]
        assert old == before[name][0]
    old_id, new_id = (one["logId"]["keyId"] for one in root["tlogs"])
    clock = Clock(NOW)
    with closing(Database(rotated.database)) as database:
        running = services.assemble(rotated, database, None, clock)
        assert add(running, b"1") == old_id
        assert running.ca.chain == rotated.keys.ca[0].chain
        clock.now = NOW + WEEK
        assert add(running, b"2") == new_id
        assert running.ca.chain == rotated.keys.ca[1].chain
        assert running.tsa.chain == rotated.keys.tsa[1].chain
        assert running.ct_log.key is rotated.keys.ct[1].key


def test_private_keys_that_sign_no_more_are_deleted(data):
    rotated = state.rotate(data, ["ca", "log", "ct"], NOW, NOW)
    root = trust.trusted_root(rotated)
    state.forget_retired(rotated, NOW)
    assert (data / "state/keys/log.pem").exists()  # until everybody's clock agrees
    with closing(Database(rotated.database)) as database:
        services.assemble(rotated, database, None, Clock(NOW))
    state.forget_retired(rotated, NOW + DAY)
    left = {path.name for path in (data / "state/keys").iterdir()}
    assert left == {
        "ca.pub", "ca-chain.pem", "ca-2.pem", "ca-2-chain.pem", "ct.pub", "ct-2.pem",
        "log.pub", "log-2.pem", "tsa.pem", "tsa-chain.pem", "oidc.pem", "tuf.pem",
    }  # fmt: skip
    loaded = state.load(data)
    assert trust.trusted_root(loaded) == root
    assert loaded.keys.log[0].key is None
    state.forget_retired(loaded, NOW + DAY)
    with closing(Database(loaded.database)) as database:
        running = services.assemble(loaded, database, None, Clock(NOW + DAY))
        assert add(running, b"1") == root["tlogs"][1]["logId"]["keyId"]


def test_the_last_checkpoint_is_taken_over(data):
    rotated = state.rotate(data, ["log"], NOW + WEEK, NOW)
    hashes = []
    for now in (NOW, NOW + WEEK):
        with closing(Database(rotated.database)) as database:
            running = services.assemble(rotated, database, None, Clock(now))
            (signature,) = note.parse_note(running.log.checkpoint()).signatures
            hashes.append(signature.key_hash)
            assert signature.key_hash == running.log.log_id()[:4]
    assert hashes[0] != hashes[1]


def test_one_rotation_after_the_other(data):
    state.rotate(data, ["ca", "tsa"], NOW + WEEK, NOW)
    with pytest.raises(UsageError) as caught:
        state.rotate(data, ["ct", "tsa"], NOW, NOW)
    assert caught.value.code == "rotation-pending"
    later = state.rotate(data, ["ct", "tsa"], NOW + 2 * WEEK, NOW + WEEK)
    assert [len(getattr(later.keys, name)) for name in keys.ROTATED] == [2, 2, 1, 3]
    names = [one.chain[1].subject for one in later.keys.tsa]
    assert len(set(names)) == 3


@pytest.mark.parametrize("failing", range(1, 8))
def test_an_interrupted_rotation_did_not_happen(data, monkeypatch, failing):
    before = trust.trusted_root(state.load(data))
    write, calls = outputs.write, []

    def full(path, body, **options):
        calls.append(path)
        if len(calls) == failing:
            raise OSError(28, os.strerror(28))
        write(path, body, **options)

    with monkeypatch.context() as patched:
        patched.setattr(outputs, "write", full)
        with pytest.raises(Undecided):
            state.rotate(data, keys.ROTATED, NOW, NOW)
    assert trust.trusted_root(state.load(data)) == before
    assert len(trust.trusted_root(state.rotate(data, keys.ROTATED, NOW, NOW))["tlogs"]) == 2


def test_a_folder_without_a_version_is_read(data):
    settings = data / "state/instance.json"
    written = json.loads(settings.read_bytes())
    old = {name: written[name] for name in ("origin", "start")} | {"url": "http://127.0.0.1:8100"}
    settings.write_text(json.dumps(old))
    loaded = state.load(data)
    assert (loaded.port, loaded.public) == (8100, False)


def test_a_folder_of_a_newer_version_is_left_alone(data):
    settings = data / "state/instance.json"
    settings.write_text(json.dumps({"version": 3, "unknown": True}))
    with pytest.raises(Undecided) as caught:
        state.load(data)
    assert caught.value.code == "instance-newer"
