# SPDX-License-Identifier: Apache-2.0
"""The store on file systems without locks, or without fsync of folders."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from modelseal.admission import store as place
from modelseal.errors import Undecided

LACKING = [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOLCK, errno.EBADF]


@pytest.fixture
def store(tmp_path):
    return place.prepare(tmp_path / "store")


def fail(monkeypatch, module, name, code):
    def failing(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(module, name, failing)


def add(store, name):
    with place.temporary(store) as folder:
        (folder / "weights").write_text("weights")
        place.publish(folder, store / name)


@pytest.mark.parametrize("code", LACKING, ids=errno.errorcode.get)
def test_snapshots_are_made_without_locks(store, monkeypatch, code):
    fail(monkeypatch, fcntl, "flock", code)
    add(store, "one")
    assert (store / "one" / "weights").read_text() == "weights"


@pytest.mark.parametrize("code", LACKING, ids=errno.errorcode.get)
def test_without_locks_no_copy_that_is_being_made_is_swept_away(store, monkeypatch, code):
    fail(monkeypatch, fcntl, "flock", code)
    with place.temporary(store) as folder:
        add(store, "one")
        assert folder.is_dir()
    assert not folder.exists()


def test_where_only_folders_cannot_be_locked_nothing_is_swept_away(store, monkeypatch):
    """NFS locks what is open for writing, which a folder never is."""
    really = fcntl.flock

    def files_only(fd, operation):
        if os.path.isdir(f"/proc/self/fd/{fd}"):  # noqa: PTH112 - of a descriptor
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really(fd, operation)

    monkeypatch.setattr(fcntl, "flock", files_only)
    with place.temporary(store) as folder:
        add(store, "one")
        assert folder.is_dir()


def test_with_locks_what_a_killed_process_left_is_swept_away(store):
    (store / ".tmp-left").mkdir()
    with place.temporary(store) as folder:
        assert not (store / ".tmp-left").exists()
        add(store, "one")
        assert folder.is_dir()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM])
def test_snapshots_are_made_without_fsync(store, monkeypatch, code):
    fail(monkeypatch, os, "fsync", code)
    add(store, "one")
    assert (store / "one" / "weights").read_text() == "weights"


@pytest.mark.parametrize(("module", "name"), [(os, "fsync"), (fcntl, "flock")])
def test_a_disk_that_fails_is_a_failure(store, monkeypatch, module, name):
    fail(monkeypatch, module, name, errno.EIO)
    with pytest.raises(Undecided) as caught:
        add(store, "one")
    assert caught.value.code == "store-unusable"
    assert not (store / "one").exists()
