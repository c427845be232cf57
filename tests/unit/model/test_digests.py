# SPDX-License-Identifier: Apache-2.0
"""However the work is divided, every file has the digest of its bytes, and faults are seen."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import blake3
import pytest
from patience import PATIENCE

from modelseal.errors import FormatError, ModelSealError, Undecided
from modelseal.formats import oms
from modelseal.model import digests, hashing, helpers, manifest, scope, small_files
from modelseal.model.diff import compare
from modelseal.model.digests import Reading
from modelseal.model.threads import Stop, Stopped, in_threads

SMALL, LARGE = 1000, small_files.SMALL + 1


@pytest.fixture
def model(tmp_path):
    """Small files, large ones, and those at the borders, in several folders."""
    folder = tmp_path / "model"
    sizes = (0, 1, small_files.SMALL - 1, small_files.SMALL, LARGE, hashing.BUFFER + 1)
    for place in ("", "a", "a/b", "c d"):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for number, size in enumerate((*sizes, *range(2, 9))):
            (folder / place / f"{number}-ü.bin").write_bytes(os.urandom(size))
    return folder


@pytest.fixture
def divided(monkeypatch):
    """Helpers even for few files, and small stretches of large ones."""
    monkeypatch.setattr(digests, "_HELP", 3)
    monkeypatch.setattr(digests, "_HELPED_SMALL", LARGE)
    monkeypatch.setattr(digests, "_BATCH", 2)
    monkeypatch.setattr(hashing, "AHEAD", LARGE)
    monkeypatch.setattr(hashing, "_AHEAD_BUFFER", 1000)
    monkeypatch.setattr(hashing, "_TASK", 50_000)


def expected(folder, hash_type):
    new = {"sha256": hashlib.sha256, "blake2b": hashlib.blake2b, "blake3": blake3.blake3}[hash_type]
    return {
        path.relative_to(folder).as_posix(): new(path.read_bytes()).digest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("workers", [None, 1, 2, 3, 50])
@pytest.mark.parametrize("hash_type", list(oms.HASHES))
def test_every_division_gives_the_same_digests(model, divided, workers, hash_type):
    done = []
    reading = Reading(workers=workers, progress=done.append)
    found = manifest.of_folder(model, how=oms.serialization(hash_type), reading=reading)
    assert dict(found.manifest.resources) == expected(model, hash_type)
    assert sum(done) == sum(found.sizes.values())
    assert not found.unread


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("shard", [7_000, 65_536, 10**9])
def test_every_division_gives_the_same_shards(model, divided, workers, shard):
    how = oms.serialization(shard_size=shard)
    found = manifest.of_folder(model, how=how, reading=Reading(workers=workers)).manifest
    data = {p.relative_to(model).as_posix(): p for p in model.rglob("*") if p.is_file()}
    assert {name for name, path in data.items() if path.stat().st_size} == found.file_names()
    for name, digest in found.resources:
        file, start, end = oms.split_shard(name)
        assert digest == hashlib.sha256(data[file].read_bytes()[start:end]).digest()
    assert oms.manifest(list(found.resources), (), how) == found


def test_helpers_do_their_share(model, divided, monkeypatch):
    here = []
    real = digests._Hashing._small_here
    monkeypatch.setattr(
        digests._Hashing,
        "_small_here",
        lambda self, listing, *limit: here.append(listing) or real(self, listing, *limit),
    )
    manifest.of_folder(model, reading=Reading(workers=3))
    files = sum(len(each.parts) for listing in here for each in listing)
    assert (len(here), files) == (1, 18)  # a third of 52, rounded up


@pytest.mark.parametrize("executable", ["", "/nowhere/python", "/bin/false", "/bin/true"])
def test_helpers_that_cannot_be_had_are_done_without(model, divided, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    found = manifest.of_folder(model, reading=Reading(workers=3)).manifest
    assert dict(found.resources) == expected(model, "sha256")


def test_helpers_run_nothing_of_the_working_folder_and_of_the_caller(tmp_path):
    """A script without a guard is not run again; modules in the way are not imported."""
    model = tmp_path / "model"
    model.mkdir()
    for number in range(6):
        (model / f"{number}").write_bytes(b"x")
    for name in ("hashlib", "marshal", "modelseal", "typing"):
        (model / f"{name}.py").write_text("raise SystemExit(f'planted: {__name__}')")
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, threading\n"
        f"sys.path.append({str(helpers.__file__).rpartition('/modelseal/')[0]!r})\n"
        "from pathlib import Path\n"
        "from modelseal.model import digests, manifest\n"
        "digests._HELP = 2\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "found = manifest.of_folder(Path.cwd(), reading=digests.Reading(workers=3))\n"
        "print(len(found.manifest.resources))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", script], cwd=model, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("10\n", "")


FAULTS = {
    "not-found": lambda path: None,
    "symlink": lambda path: path.symlink_to("0-ü.bin"),
    "special-file": os.mkfifo,
    "special-file ": lambda path: path.mkdir(),
}


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("number", [1, 5])  # a small file and a large one
def test_what_is_swapped_after_the_walk_is_refused(model, monkeypatch, workers, fault, number):
    path = model / "c d" / f"{number}-ü.bin"
    real = digests.of_files

    def of_files(root, listing, *rest):
        path.unlink()
        FAULTS[fault](path)
        return real(root, listing, *rest)

    monkeypatch.setattr(digests, "of_files", of_files)
    with pytest.raises(ModelSealError) as refused:
        manifest.of_folder(model, reading=Reading(workers=workers))
    error = refused.value
    assert (error.code, path.name in error.message) == (fault.strip(), True)


def test_a_folder_that_becomes_a_link_is_not_followed(model, divided, monkeypatch, tmp_path):
    real = digests.of_files

    def of_files(root, listing, *rest):
        (model / "a").rename(tmp_path / "away")
        (model / "a").symlink_to(tmp_path / "away")
        return real(root, listing, *rest)

    monkeypatch.setattr(digests, "of_files", of_files)
    with pytest.raises(FormatError) as refused:
        manifest.of_folder(model)
    assert refused.value.code == "symlink"


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_file_that_changes_while_it_is_read_is_undecided(tmp_path, monkeypatch, size):
    path = tmp_path / "a"
    path.write_bytes(b"x" * size)
    real = {"readv": os.readv, "preadv": os.preadv}

    def reader(name):
        def read(*arguments):
            path.write_bytes(b"y" * size)
            os.utime(path, ns=(1, 1))
            return real[name](*arguments)

        return read

    for name in real:
        monkeypatch.setattr(os, name, reader(name))
    with pytest.raises(Undecided) as refused:
        manifest.of_folder(tmp_path)
    assert refused.value.code == "changed-while-reading"


def test_a_file_that_comes_in_small_pieces_is_read_to_its_end(model, monkeypatch):
    """As some file systems give them."""
    real = os.readv
    monkeypatch.setattr(os, "readv", lambda fd, buffers: real(fd, [buffers[0][:1]]))
    found = manifest.of_folder(model).manifest
    assert dict(found.resources) == expected(model, "sha256")


def signed_of(model, **how):
    contents = manifest.of_folder(model, how=oms.serialization(**how))
    return contents, scope.of_signed(contents.manifest)


@pytest.mark.parametrize("how", [{}, {"shard_size": 7_000}])
def test_nothing_is_read_when_a_file_is_missing(model, monkeypatch, how):
    contents, in_scope = signed_of(model, **how)
    (model / "a" / "1-ü.bin").unlink()
    reading = Reading(signed=contents.manifest)
    monkeypatch.setattr(os, "readv", None)
    monkeypatch.setattr(os, "preadv", None)
    found = manifest.of_folder(model, in_scope, contents.manifest.serialization, reading)
    diff = compare(manifest.Contents(contents.manifest), found)
    assert (diff.changed, diff.added, diff.missing) == ((), (), ("a/1-ü.bin",))
    assert diff.unread == len(contents.manifest.file_names()) - 1
    assert not diff.only_added


def test_nothing_is_read_when_a_size_is_another(model, monkeypatch):
    contents, in_scope = signed_of(model, shard_size=7_000)
    (model / "a" / "1-ü.bin").write_bytes(bytes(2000))
    reading = Reading(signed=contents.manifest)
    monkeypatch.setattr(os, "readv", None)
    monkeypatch.setattr(os, "preadv", None)
    found = manifest.of_folder(model, in_scope, contents.manifest.serialization, reading)
    diff = compare(manifest.Contents(contents.manifest), found)
    assert (diff.changed, diff.added, diff.missing) == (("a/1-ü.bin",), (), ())
    assert [(one.old, one.new) for one in diff.sizes] == [(1, 2000)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("how", [{}, {"shard_size": 7_000}])
@pytest.mark.parametrize("name", ["0-ü.bin", "1-ü.bin", "5-ü.bin"])
def test_failing_fast_names_the_first_that_changed(model, divided, workers, how, name):
    (model / "0-ü.bin").write_bytes(b"x")
    contents, in_scope = signed_of(model, **how)
    path = model / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    reading = Reading(workers=workers, signed=contents.manifest, fail_fast=True)
    found = manifest.of_folder(model, in_scope, contents.manifest.serialization, reading)
    diff = compare(manifest.Contents(contents.manifest), found)
    assert (diff.changed, diff.added, diff.missing) == ((name,), (), ())
    if name != "5-ü.bin":  # a large one may be the last that is hashed
        assert diff.unread


def test_failing_fast_accepts_what_did_not_change(model, divided):
    contents, in_scope = signed_of(model, shard_size=7_000)
    reading = Reading(workers=3, signed=contents.manifest, fail_fast=True)
    found = manifest.of_folder(model, in_scope, contents.manifest.serialization, reading)
    assert not compare(manifest.Contents(contents.manifest), found)


def test_a_sparse_file_of_far_too_many_shards_is_not_begun(model):
    with (model / "sparse").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(ModelSealError) as refused:
        manifest.of_folder(model, how=oms.serialization(shard_size=100))
    assert refused.value.code == "too-many-shards"


def test_threads_stop_when_one_fails():
    stop = Stop()
    begun = threading.Barrier(3)

    def do(task):
        begun.wait(PATIENCE)
        if task == 0:
            raise Undecided("io-error", "It cannot be read.")
        deadline = time.monotonic() + PATIENCE
        while not stop.is_set() and time.monotonic() < deadline:
            time.sleep(0.01)
        raise Stopped

    with pytest.raises(Undecided):
        in_threads(lambda: do, range(3), 3, stop)
    assert stop.is_set()


def test_ctrl_c_ends_it_at_once(tmp_path):
    """A file without an end, as far as the test is concerned, in each of several threads."""
    for number in range(4):
        with (tmp_path / f"{number}").open("wb") as file:
            file.truncate(2**43)  # hours
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from modelseal.model import digests, manifest\n"
        "reading = digests.Reading(workers=3, progress=lambda n: print(n, flush=True))\n"
        "manifest.of_folder(Path(sys.argv[1]), reading=reading)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    assert errors.rstrip().endswith("KeyboardInterrupt")
