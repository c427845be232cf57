# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from built_log import BuiltLog, Tree
from cryptography.hazmat.primitives.asymmetric import ed25519
from small_server import Said, serving

from modelseal.errors import Undecided, UsageError
from modelseal.monitor.log_client import LogClient
from modelseal.monitor.watch import Wanted, Watch

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def leaves(count, name="leaf"):
    return [f"{name} {number}".encode() for number in range(count)]


def watching(url, log, **wanted):
    return Watch(LogClient(url), log.anchors(), Wanted(**wanted))


@pytest.fixture
def log():
    return BuiltLog(Tree(leaves(300)))


@pytest.fixture
def url(log):
    with log.serve() as url:
        yield url


@pytest.mark.parametrize("from_now", [False, True])
@pytest.mark.parametrize("drops_partial", [False, True])
@pytest.mark.parametrize("more", [0, 1, 211, 212, 213, 500])
def test_a_log_that_only_grows_is_fine(log, url, from_now, drops_partial, more):
    watch = watching(url, log, from_now=from_now)
    first = watch.look(None, NOW)
    assert (first.findings, first.size, first.memory.edge.root()) == ((), 300, log.tree.root())
    for leaf in leaves(more, "new"):
        log.tree.add(leaf)
    log.drops_partial = drops_partial and (300 + more) % 256 == 0
    second = watch.look(first.memory, NOW + timedelta(hours=1))
    assert (second.findings, second.size) == ((), 300 + more)
    assert second.memory.edge.root() == log.tree.root()
    assert second.memory.grown == (NOW + timedelta(hours=1) if more else NOW)


def test_a_look_that_begins_now_reads_no_entries(log, url):
    watching(url, log, from_now=True).look(None, NOW)
    assert not [path for path in log.asked if "entries" in path]


def test_a_partial_tile_that_was_dropped_is_read_from_the_full_one(log, url):
    watch = watching(url, log)
    text = log.checkpoint().decode()
    for leaf in leaves(300, "new"):
        log.tree.add(leaf)
    log.drops_partial = True  # the checkpoint was read before the log grew past the tile
    watch.client.checkpoint = lambda: text
    assert watch.look(None, NOW).findings == ()


def shrunk(log):
    log.tree = Tree(leaves(299))


def emptied(log):
    log.tree = Tree()


def other_tree_of_the_same_size(log):
    log.tree = Tree([*leaves(299), b"other"])


def other_history(log):
    log.tree = Tree([b"other", *leaves(400)])


def one_entry_changed_then_grown(log):
    log.tree = Tree([*leaves(150), b"other", *leaves(300, "new")])


def other_entries_than_signed(log):
    log.tree = Tree([*leaves(300), *leaves(20, "new")])
    log.entries = [*leaves(300), *leaves(19, "new"), b"other"]


def signed_by_another(log):
    log.signer = ed25519.Ed25519PrivateKey.generate()


def another_name(log):
    log.origin = "other.test"


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (shrunk, "log-shrunk"), (emptied, "log-shrunk"),
        (other_tree_of_the_same_size, "log-forked"), (other_history, "log-forked"),
        (one_entry_changed_then_grown, "log-forked"),
        (other_entries_than_signed, "log-rewritten"), (signed_by_another, "log-invalid"),
        (another_name, "log-invalid"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("from_now", [False, True])
def test_a_log_that_is_not_what_it_was(log, url, change, event, from_now):
    watch = watching(url, log, from_now=from_now)
    memory = watch.look(None, NOW).memory
    change(log)
    for _ in range(2):  # a fault is not forgotten: it is found again, until the log is right
        found = watch.look(memory, NOW)
        assert [one["event"] for one in found.findings] == [event]
        assert found.findings[0]["message"]
        assert found.fault
        assert found.memory == memory
        memory = found.memory


def test_entries_that_were_not_signed_are_not_reported(log, url):
    log.entries = [*leaves(299), b"other"]
    found = watching(url, log).look(None, NOW)
    assert [one["event"] for one in found.findings] == ["log-rewritten"]


def test_tiles_that_were_not_signed_are_no_beginning(log, url):
    log.tree.nodes[0, 299] = bytes(32)
    log.tree.root = lambda: Tree(leaves(300)).root()
    found = watching(url, log, from_now=True).look(None, NOW)
    assert (found.memory, [one["event"] for one in found.findings]) == (None, ["log-rewritten"])


def test_a_log_that_stands_still(log, url):
    day = timedelta(days=1)
    watch = watching(url, log, max_silence=day)
    memory = watch.look(None, NOW).memory
    assert not watch.look(memory, NOW + day).fault
    late = watch.look(memory, NOW + 2 * day)
    assert [one["event"] for one in late.findings] == ["log-frozen"]
    log.tree.add(b"new")
    assert not watch.look(late.memory, NOW + 2 * day).fault


def test_an_empty_log_may_grow():
    log = BuiltLog(Tree())
    with log.serve() as url:
        memory = watching(url, log).look(None, NOW).memory
        log.tree.add(b"first")
        assert watching(url, log).look(memory, NOW).memory.edge.size == 1


@pytest.mark.parametrize(
    "answer",
    [
        Said(b"", 404), Said(b"", 500), Said(b"\xff"), Said(b"x" * (1 << 21)),
        Said(b"", 302),
    ],
)  # fmt: skip
def test_what_does_not_answer_is_undecided(log, answer):
    with serving(lambda _: answer) as url, pytest.raises(Undecided) as caught:
        watching(url, log).look(None, NOW)
    assert caught.value.code in {"log-unreachable", "log-unreadable"}


@pytest.mark.parametrize("bundle", [b"", b"\x00", b"\x00\x01a", b"\xff\xff" + b"a" * 9])
def test_bundles_that_cannot_be_read_are_undecided(log, bundle):
    def answer(asked):
        return Said(log.checkpoint() if asked.path == "/checkpoint" else bundle)

    with serving(answer) as url, pytest.raises(Undecided):
        watching(url, log).look(None, NOW)
    with serving(answer) as url, pytest.raises(Undecided):
        watching(url, log, from_now=True).look(None, NOW)


@pytest.mark.parametrize("url", ["ftp://a", "a", "http://", "http://[", "http://a\nb"])
def test_what_is_no_url(url):
    with pytest.raises(UsageError):
        LogClient(url)


def test_without_a_log_to_believe_nothing_is_signed(log, url):
    watch = Watch(LogClient(url), log.anchors()._replace(logs=()), Wanted())
    assert watch.look(None, NOW).fault
