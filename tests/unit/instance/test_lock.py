# SPDX-License-Identifier: Apache-2.0
"""One process serves an instance; a file system without locks is called what it is."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from datetime import UTC, datetime

import pytest

from modelseal.errors import Undecided
from modelseal.instance import server, state
from modelseal.instance.listening import Listening


def lock(data):
    with state.locked(data):
        return


def test_a_second_process_is_named(tmp_path):
    with state.locked(tmp_path), pytest.raises(Undecided) as caught:
        lock(tmp_path)
    assert caught.value.code == "instance-locked"
    lock(tmp_path)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errno.EOPNOTSUPP, "instance-folder"),
        (errno.ENOSYS, "instance-folder"),
        (errno.EINVAL, "instance-folder"),
        (errno.ENOLCK, "instance-folder"),
        (errno.EIO, "instance-folder"),
        (errno.EWOULDBLOCK, "instance-locked"),
    ],
)
def test_a_file_system_without_locks_is_not_another_process(tmp_path, monkeypatch, code, expected):
    """It is refused all the same: two processes would fork the log."""

    def failing(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(Undecided) as caught:
        lock(tmp_path)
    assert caught.value.code == expected
    assert ("no locks" in caught.value.message) == (code not in {errno.EIO, errno.EWOULDBLOCK})


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM])
def test_a_folder_that_cannot_be_synced_has_an_instance_all_the_same(tmp_path, monkeypatch, code):
    really = os.fsync

    def files_only(fd):
        if os.path.isdir(f"/proc/self/fd/{fd}"):  # noqa: PTH112 - of a descriptor
            raise OSError(code, os.strerror(code))
        really(fd)

    monkeypatch.setattr(os, "fsync", files_only)
    with state.locked(tmp_path):
        state.create(tmp_path, datetime.now(UTC))
        assert state.load(tmp_path).origin


def test_a_database_without_locks_is_not_called_damaged(tmp_path, monkeypatch):
    """As where SQLite cannot share memory: there is nothing to restore from a backup."""

    def failing(*_, **__):
        raise sqlite3.OperationalError("locking protocol")

    with state.locked(tmp_path):
        monkeypatch.setattr(sqlite3, "connect", failing)
        with pytest.raises(Undecided) as caught:
            state.create(tmp_path, datetime.now(UTC))
        assert (caught.value.code, "locking protocol" in caught.value.message) == (
            "instance-folder", True,
        )  # fmt: skip
        monkeypatch.undo()
        state.create(tmp_path, datetime.now(UTC))
        monkeypatch.setattr(sqlite3, "connect", failing)
    with pytest.raises(Undecided) as caught:
        server.serve(tmp_path, listening=Listening(), users=None, ready=print)
    assert caught.value.code == "instance-folder"
