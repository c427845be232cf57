# SPDX-License-Identifier: Apache-2.0
"""Who uses a snapshot: threads, processes, programs that were started by one."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading

import pytest
from in_store import snapshots
from patience import PATIENCE

from modelseal.admission import leases, upkeep
from modelseal.admission import store as place
from modelseal.errors import Undecided

DIGEST = "ab" * 32


@pytest.fixture
def store(tmp_path):
    return place.prepare(tmp_path / "store")


def add(store, digest=DIGEST, model="digits"):
    """Make a snapshot unless there is one; return its lease, None if there is one."""
    with leases.making(store, digest) as lease:
        if lease is not None:
            with place.temporary(store) as folder:
                (folder / "weights").write_text("weights")
                lease.write(leases.Record(model))
                place.publish(folder, store / digest)
        return lease


def test_what_is_not_there_has_no_lease_and_leaves_nothing(store):
    assert leases.take(store, DIGEST) is None
    with leases.making(store, DIGEST) as lease:
        assert lease is not None
    assert snapshots(store) == set()


def test_what_is_used_is_not_removed(store):
    add(store)
    first, second = leases.take(store, DIGEST), leases.take(store, DIGEST)
    for lease in (first, second):
        assert upkeep.collect(store, keep_days=0, max_size=0) == []
        with pytest.raises(Undecided) as refused:
            upkeep.remove(store, DIGEST[:8])
        assert refused.value.code == "snapshot-in-use"
        lease.close()
        lease.close()
    (removed,) = upkeep.collect(store, max_size=0)
    assert (removed.digest, removed.model) == (DIGEST, "digits")
    assert snapshots(store) == set()


def test_a_lease_that_nobody_has_any_more_is_over(store):
    add(store)
    lease = leases.take(store, DIGEST)
    assert leases.is_used(store, DIGEST)
    del lease
    assert not leases.is_used(store, DIGEST)


def test_a_store_of_an_older_release_has_no_records(store):
    add(store)
    (store / ".snapshots" / f"{DIGEST}.json").unlink()
    assert [one.model for one in upkeep.listed(store)] == [""]
    lease = leases.take(store, DIGEST)
    assert upkeep.collect(store, max_size=0) == []
    lease.close()
    assert len(upkeep.collect(store, max_size=0)) == 1


HOLDER = """
import os, sys
from pathlib import Path
from modelseal.admission import leases
lease = leases.take(Path(sys.argv[1]), sys.argv[2])
if sys.argv[3] == "exec":
    lease.survive_exec()
    os.execvp("sh", ["sh", "-c", "echo ready; exec cat"])
if sys.argv[3] == "fork" and os.fork():
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["process", "exec", "fork"])
def test_what_another_process_uses_is_not_removed(store, how):
    add(store)
    command = [sys.executable, "-c", HOLDER, store, DIGEST, how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"ready\n"
        assert upkeep.collect(store, max_size=0) == []
        assert upkeep.listed(store)[0].in_use
        holder.stdin.close()
        holder.stdout.read()  # to the end of whoever inherited it
        holder.wait(PATIENCE)
    assert len(upkeep.collect(store, max_size=0)) == 1


def test_what_a_killed_process_used_can_be_removed(store):
    add(store)
    command = [sys.executable, "-c", HOLDER, store, DIGEST, "process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"ready\n"
        holder.send_signal(signal.SIGKILL)
        holder.wait(PATIENCE)
    assert len(upkeep.collect(store, max_size=0)) == 1


def test_removing_and_using_at_once(store):
    """Whoever has a lease has a snapshot, whatever others remove and make anew."""
    stop = threading.Event()

    def remove():
        while not stop.is_set():
            upkeep.collect(store, max_size=0)

    def use(lacking):
        for _ in range(150):
            lease = leases.take(store, DIGEST)
            while lease is None:
                lease = add(store) or leases.take(store, DIGEST)
            if (store / DIGEST / "weights").read_text() != "weights":
                lacking.append(1)
            lease.close()

    lacking = []
    remover = threading.Thread(target=remove)
    users = [threading.Thread(target=use, args=(lacking,)) for _ in range(4)]
    for thread in (remover, *users):
        thread.start()
    for thread in users:
        thread.join(PATIENCE)
    stop.set()
    remover.join(PATIENCE)
    assert not any(thread.is_alive() for thread in users)
    assert lacking == []


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_nothing_is_removed(store, monkeypatch, code):
    add(store)

    def failing(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", failing)
    assert leases.take(store, DIGEST) is not None
    with pytest.raises(Undecided) as refused:
        upkeep.collect(store, max_size=0)
    assert refused.value.code == "store-without-locks"
    assert (store / DIGEST).is_dir()
