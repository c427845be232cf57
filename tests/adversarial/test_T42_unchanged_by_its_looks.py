# SPDX-License-Identifier: Apache-2.0
"""T42: a file is changed so that it looks as before, to be signed again unread."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from in_process import answers, invoke

from modelseal.model import digests, stat_cache


def run(*arguments):
    return invoke(*arguments)


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model that was signed once with --update, long enough after it was written."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(stat_cache, "SETTLED_NS", -60_000_000_000)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("weights")
    (folder / "b").write_text("more")
    assert run("key", "generate", tmp_path / "k.key").exit_code == 0
    sign(folder)
    return folder


def sign(model):
    done = run("sign", model, "--key", model.parent / "k.key", "--update")
    assert done.exit_code == 0, done.output


def verified(model):
    return run("verify", model, "--key", model.parent / "k.pub").exit_code


def test_same_size_and_time_restored(model):
    path = model / "a"
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # the clock of files has coarse ticks
        path.write_text("swapped"[: before.st_size])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        time.sleep(0.001)
    after = path.stat()
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        before.st_ino, before.st_size, before.st_mtime_ns,
    )  # fmt: skip
    assert verified(model) == 1
    sign(model)
    assert verified(model) == 0  # what is there was hashed, not what was there


def test_another_file_put_in_its_place(model):
    before = (model / "a").stat()
    new = model.parent / "new"
    new.write_text("swapped"[: before.st_size])
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.rename(model / "a")
    sign(model)
    assert verified(model) == 0


def test_verification_never_believes_it(model):
    cached = stat_cache.path_of(Path(os.path.realpath(model)))
    value = json.loads(cached.read_text())
    value["files"]["a"][1] = "00" * 32
    cached.write_text(json.dumps(value))
    assert verified(model) == 0
    sign(model)  # believes what only its user can have written, if the bundle says so too
    assert verified(model) == 0


@pytest.mark.parametrize("junk", [b"", b"{}", b"[1]", b'{"version": 1, "files": 3}', b"\xff"])
def test_a_damaged_cache_means_that_all_is_read(model, junk):
    stat_cache.path_of(Path(os.path.realpath(model))).write_bytes(junk)
    sign(model)
    assert verified(model) == 0


def test_a_cache_that_others_can_write_is_not_believed(model):
    cached = stat_cache.path_of(Path(os.path.realpath(model)))
    assert cached.stat().st_mode & 0o777 == 0o600
    assert cached.parent.stat().st_mode & 0o777 == 0o700
    value = json.loads(cached.read_text())
    value["files"]["a"][1] = "00" * 32
    cached.write_text(json.dumps(value))
    cached.chmod(0o660)
    sign(model)
    assert verified(model) == 0


def test_a_file_that_changed_just_now_is_not_remembered(model, monkeypatch):
    # the clock may be years ahead of that of the file system, as on a network volume
    monkeypatch.setattr(stat_cache, "SETTLED_NS", 10 * 365 * 86_400_000_000_000)
    (model / "a").write_text("changed")
    sign(model)
    cached = stat_cache.path_of(Path(os.path.realpath(model)))
    assert list(json.loads(cached.read_text())["files"]) == ["b"]


def test_what_did_not_change_is_not_read(model, monkeypatch):
    read = []
    real = digests.of_files

    def of_files(root, listing, *rest):
        read.extend(name for files in listing for name in files.names)
        return real(root, listing, *rest)

    monkeypatch.setattr(digests, "of_files", of_files)
    (model / "b").write_text("changed, and longer")
    sign(model)
    assert read == ["b"]
    assert verified(model) == 0


def test_verification_that_believes_it_says_so(model):
    options = ("--key", model.parent / "k.pub", "--trust-stat-cache")
    done = run("verify", model, *options)
    assert done.exit_code == 0
    assert "2 of the files were not read" in done.output
    (model / "a").write_text("swapped")
    done = run("verify", model, *options, "--format", "json")
    (said,) = answers(done.stdout)
    assert (done.exit_code, said["code"]) == (1, "digest-mismatch")
    assert [c["detail"][:8] for c in said["checks"] if c["name"] == "stat cache"] == ["1 of the"]
