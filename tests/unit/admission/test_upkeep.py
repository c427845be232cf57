# SPDX-License-Identifier: Apache-2.0
"""Looking after a store: what is in it, what was altered, what goes."""

from __future__ import annotations

import os
import time

import pytest
from in_store import snapshots

from modelseal.admission import leases, upkeep
from modelseal.admission import store as place
from modelseal.errors import Undecided, UsageError
from modelseal.formats import oms
from modelseal.model import manifest
from modelseal.policy.rules import StoreRules

DAY = 86_400


@pytest.fixture
def store(tmp_path):
    return place.prepare(tmp_path / "store")


def add(store, content, how=None, *, days_ago=0):
    """Store a snapshot of two files; return its digest."""
    how = how or oms.Serialization()
    with place.temporary(store) as folder:
        (folder / "sub").mkdir()
        (folder / "weights").write_bytes(content)
        (folder / "sub" / "more").write_bytes(content[::-1])
        digest = place.digest_of(manifest.of_folder(folder, how=how).manifest)
        with leases.making(store, digest) as lease:
            lease.write(leases.Record(f"model-{content[:2].decode()}", how))
            place.publish(folder, store / digest)
        lease.close()
    used = time.time() - days_ago * DAY
    os.utime(store / ".snapshots" / f"{digest}.json", (used, used))
    return digest


@pytest.fixture
def writable(store):
    """Give a function that makes a snapshot writable, as its owner could."""

    def call(digest):
        for path in (store / digest, store / digest / "sub"):
            path.chmod(0o700)
        return store / digest

    return call


@pytest.mark.parametrize(
    "how",
    [
        oms.Serialization(), oms.serialization("blake3"), oms.serialization("blake2b"),
        oms.serialization(shard_size=10), oms.serialization("blake3", shard_size=7),
    ],
    ids=str,
)  # fmt: skip
def test_what_was_not_altered_is_unchanged_however_it_was_signed(store, how):
    digest = add(store, b"aa" * 50, how)
    assert upkeep.verify(store, digest) == (digest, "model-aa", "unchanged", "")
    upkeep.check_unchanged(store, digest)


def _changed(folder):
    data = bytearray((folder / "weights").read_bytes())
    data[3] ^= 1
    (folder / "weights").chmod(0o600)
    (folder / "weights").write_bytes(data)


def _added(folder):
    (folder / "sub" / "evil.py").touch()


def _removed(folder):
    (folder / "weights").unlink()


def _renamed(folder):
    (folder / "weights").rename(folder / "Weights")


def _linked(folder):
    (folder / "weights").rename(folder.parent.parent / "weights")
    (folder / "weights").symlink_to(folder.parent.parent / "weights")


def _emptied(folder):
    (folder / "weights").unlink()
    (folder / "sub" / "more").unlink()


@pytest.mark.parametrize("alter", [_changed, _added, _removed, _renamed, _linked, _emptied])
def test_what_was_altered_is_found(store, writable, alter):
    digest, other = add(store, b"aa" * 50), add(store, b"bb" * 50)
    alter(writable(digest))
    found = upkeep.verify(store, digest)
    assert found.state == "altered"
    assert found.detail
    with pytest.raises(Undecided) as refused:
        upkeep.check_unchanged(store, digest)
    assert refused.value.code == "store-altered"
    assert upkeep.verify(store, other).state == "unchanged"


def test_a_record_that_lies_makes_nothing_altered_look_unchanged(store, writable):
    digest = add(store, b"aa" * 50)
    record = store / ".snapshots" / f"{digest}.json"
    for text in ("", "junk", '{"model": "x", "hash_type": "md5"}', "{" * 100_000):
        record.write_text(text)
        assert upkeep.verify(store, digest).state == "unchanged"
    record.write_text('{"model": "x", "hash_type": "blake3", "shard_size": null}')
    assert upkeep.verify(store, digest).state == "altered"


def test_the_longest_unused_go_first(store):
    old, middle, new = (add(store, x * 50_000, days_ago=d) for x, d in
                        ((b"cc", 9), (b"aa", 5), (b"bb", 1)))  # fmt: skip
    assert [one.digest for one in upkeep.listed(store)] == [old, middle, new]
    assert upkeep.collect(store, keep_days=10) == []
    assert [one.digest for one in upkeep.collect(store, keep_days=8)] == [old]
    size = upkeep.listed(store)[0].size
    assert size >= 2 * 100_000
    assert upkeep.collect(store, max_size=2 * size) == []
    lease = leases.take(store, middle)
    assert [one.digest for one in upkeep.collect(store, max_size=size)] == [new]
    lease.close()
    assert snapshots(store) == {middle}


def test_asking_for_a_snapshot_keeps_it(store):
    digest = add(store, b"aa" * 50, days_ago=400)
    leases.take(store, digest).close()
    assert upkeep.collect(store, keep_days=1) == []


def test_a_clock_that_was_wrong_removes_nothing_in_use_and_nothing_too_early(store):
    digest = add(store, b"aa" * 50, days_ago=-4000)  # last used in the future
    assert upkeep.collect(store, keep_days=1) == []
    leases.take(store, digest).close()
    assert abs(upkeep.listed(store)[0].last_used - time.time()) < DAY


def test_room_is_made_for_a_new_model(store):
    digests = [add(store, x * 50_000, days_ago=3) for x in (b"aa", b"bb")]
    size = upkeep.listed(store)[0].size
    upkeep.make_room(store, StoreRules(max_size=3 * size), size)
    assert snapshots(store) == set(digests)
    upkeep.make_room(store, StoreRules(max_size=2 * size), size)
    assert len(snapshots(store)) == 1
    lease = leases.take(store, snapshots(store).pop())
    with pytest.raises(Undecided) as refused:
        upkeep.make_room(store, StoreRules(max_size=2 * size), 2 * size)
    assert refused.value.code == "store-full"
    lease.close()


def test_what_killed_processes_left_is_removed(store):
    digest = add(store, b"aa" * 50)
    (store / ".tmp-left" / "sub").mkdir(parents=True)
    (store / ".snapshots" / f"{'cd' * 32}.json").touch()
    (store / ".snapshots" / f"{digest}.lock").touch()
    (store / ".accepted").mkdir()
    (store / ".accepted" / ".abc.json.0011223344556677.tmp").touch()
    (store / ".accepted" / "abc.json").touch()
    upkeep.tidy(store)
    assert snapshots(store) == {digest}
    assert [path.name for path in (store / ".accepted").iterdir()] == ["abc.json"]


def test_digests_that_say_nothing(store):
    add(store, b"aa" * 50)
    for text, word in (("", "short"), ("ab", "short"), ("0" * 64, "No snapshot"), ("../../x", "")):
        with pytest.raises(UsageError) as refused:
            upkeep.remove(store, text)
        assert refused.value.code == "no-such-snapshot"
        assert word in refused.value.message


def test_no_store(tmp_path):
    with pytest.raises(UsageError) as refused:
        upkeep.opened(tmp_path / "none")
    assert refused.value.code == "not-found"
    assert not (tmp_path / "none").exists()
