# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from patience import PATIENCE

from modelseal import outputs
from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError


def refusal(call, *args, **options) -> ModelSealError:
    with pytest.raises(ModelSealError) as caught:
        call(*args, **options)
    return caught.value


def reserve(path, **options):
    with outputs.reserved(path, **options):
        pass


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "bundle"
    path.write_bytes(b"old")
    return path


# -- what can be known in advance ------------------------------------------------------------------


def test_nothing_shows_before_it_is_written(tmp_path):
    path = tmp_path / "bundle"
    with outputs.reserved(path, size=100_000) as output:
        assert names(tmp_path) == set()
        output.write(b"new")
        assert names(tmp_path) == {"bundle"}
    assert (path.read_bytes(), names(tmp_path)) == (b"new", {"bundle"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_more_may_be_written_than_was_reserved(tmp_path):
    with outputs.reserved(tmp_path / "bundle", size=10) as output:
        output.write(bytes(100_000))
    assert (tmp_path / "bundle").read_bytes() == bytes(100_000)


def test_what_was_there_stays_until_it_is_replaced(old, tmp_path):
    with outputs.reserved(old, overwrite=True, size=100) as output:
        assert old.read_bytes() == b"old"
        output.write(b"new")
    assert (old.read_bytes(), names(tmp_path)) == (b"new", {"bundle"})


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, ValueError])
def test_nothing_is_left_when_the_work_fails(old, tmp_path, kind):
    def interrupted(path):
        with outputs.reserved(path, overwrite=True, size=100):
            raise kind

    for path in (old, tmp_path / "other"):
        with pytest.raises(kind):
            interrupted(path)
    assert (old.read_bytes(), names(tmp_path)) == (b"old", {"bundle"})


def test_a_killed_process_leaves_nothing(tmp_path):
    """A stray file in a model folder would be taken for a part of the model."""
    program = (
        "import os, signal, pathlib, sys\n"
        "from modelseal import outputs\n"
        "with outputs.reserved(pathlib.Path(sys.argv[1]), size=100):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "bundle"], check=False)
    assert (done.returncode, names(tmp_path)) == (-9, set())


def test_says_in_advance_what_cannot_be_written(old, tmp_path):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    (tmp_path / "loop").symlink_to("loop")
    cases = {
        "bundle": (UsageError, "already-exists"),
        "none/bundle": (Undecided, "cannot-write"),
        "bundle/below": (Undecided, "cannot-write"),
        ".": (UsageError, "not-a-file"),
        "socket": (UsageError, "not-a-file"),
        "loop": (Undecided, "cannot-write"),
        "x" * 256: (Undecided, "cannot-write"),
    }
    for name, expected in cases.items():
        for call in (reserve, outputs.check):
            error = refusal(call, tmp_path / name)
            assert (type(error), error.code) == expected, (name, error)
    listening.close()
    assert old.read_bytes() == b"old"


def test_names_the_folder_that_is_missing(tmp_path):
    error = refusal(reserve, tmp_path / "none" / "bundle")
    assert f"the folder '{tmp_path / 'none'}' does not exist" in error.message


def test_says_in_advance_that_the_disk_is_full(tmp_path):
    """By the limit of the size of files, which any process can have."""
    program = (
        "import pathlib, resource, sys\n"
        "from modelseal import errors, outputs\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with outputs.reserved(pathlib.Path(sys.argv[1]), size=1001):\n"
        "        print('reserved')\n"
        "except errors.Undecided as error:\n"
        "    print(error.code)\n"
        "with outputs.reserved(pathlib.Path(sys.argv[1]), size=1000) as output:\n"
        "    output.write(b'fits')"
    )
    command = [sys.executable, "-c", program, tmp_path / "bundle"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert (done.stdout, names(tmp_path)) == ("disk-full\n", {"bundle"})


def test_somebody_who_was_faster_is_not_overwritten(tmp_path):
    path = tmp_path / "bundle"
    with outputs.reserved(path) as output:
        path.write_bytes(b"theirs")
        assert refusal(output.write, b"ours").code == "already-exists"
    assert (path.read_bytes(), names(tmp_path)) == (b"theirs", {"bundle"})


def test_the_folder_that_was_checked_is_the_one_that_is_written(tmp_path):
    folder, moved = tmp_path / "folder", tmp_path / "moved"
    folder.mkdir()
    with outputs.reserved(folder / "bundle") as output:
        folder.rename(moved)
        folder.symlink_to("/nowhere")
        output.write(b"new")
    assert (moved / "bundle").read_bytes() == b"new"


# -- what the operator named -----------------------------------------------------------------------


@pytest.mark.parametrize("exists", [True, False])
def test_writes_where_a_link_leads(tmp_path, exists):
    (tmp_path / "target").mkdir()
    target = tmp_path / "target" / "file"
    if exists:
        target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("target/file")
    outputs.write(link, b"new", overwrite=exists)
    assert (link.is_symlink(), target.read_bytes()) == (True, b"new")
    assert (names(tmp_path), names(tmp_path / "target")) == ({"link", "target"}, {"file"})


def test_what_a_link_leads_to_is_not_replaced_without_being_asked_to(old, tmp_path):
    (tmp_path / "link").symlink_to("bundle")
    assert refusal(outputs.write, tmp_path / "link", b"new", overwrite=False).code == (
        "already-exists"
    )
    assert old.read_bytes() == b"old"


@pytest.mark.parametrize("overwrite", [True, False])
def test_writes_into_a_pipe(tmp_path, overwrite):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    outputs.check(path, overwrite=overwrite)  # opens nothing, which the reader would notice
    outputs.write(path, bytes(300_000), overwrite=overwrite)
    reader.join(timeout=PATIENCE)
    assert got == [bytes(300_000)]
    assert stat.S_ISFIFO(path.lstat().st_mode)


def test_writes_into_a_device():
    outputs.write(Path("/dev/null"), b"new")
    assert stat.S_ISCHR(Path("/dev/null").lstat().st_mode)
    assert refusal(outputs.write, Path("/dev/full"), b"new").code == "disk-full"


def test_writes_to_a_descriptor_of_its_own(tmp_path):
    read, write = os.pipe()
    try:
        outputs.write(Path(f"/dev/fd/{write}"), b"new")
        assert os.read(read, 10) == b"new"
    finally:
        os.close(read)
        os.close(write)
    program = "import pathlib\nfrom modelseal import outputs\nfor out in ('stdout', 'stderr'):\n"
    program += "    outputs.write(pathlib.Path('/dev', out), b'new', overwrite=False)"
    file = tmp_path / "file"
    with file.open("wb") as out:
        out.write(b"before ")
        out.flush()
        subprocess.run(
            [sys.executable, "-c", program], stdout=out, stderr=out, check=True, timeout=PATIENCE
        )
        out.seek(0, os.SEEK_END)
        out.write(b" after")
    assert (file.read_bytes(), names(tmp_path)) == (b"before newnew after", {"file"})


def test_a_reader_that_went_away_is_no_success(tmp_path):
    read, write = os.pipe()
    os.close(read)
    error = refusal(outputs.write, Path(f"/dev/fd/{write}"), b"new")
    os.close(write)
    assert (type(error), error.code) == (Undecided, "cannot-write")


# -- where others can put links --------------------------------------------------------------------


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "home" / "authorized_keys"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    return path


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("target", ["home/authorized_keys", "home/new", "model/weights"])
def test_no_link_is_followed_in_a_hostile_folder(victim, tmp_path, target, overwrite):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"weights")
    (model / "model.sig").symlink_to(tmp_path / target)
    for call in (reserve, outputs.check):
        error = refusal(call, model / "model.sig", overwrite=overwrite, untrusted=model)
        assert (type(error), error.code) == (FormatError, "symlink")
    assert (victim.read_bytes(), names(victim.parent)) == (b"mine", {"authorized_keys"})
    assert (model / "model.sig").is_symlink()


def test_no_folder_that_is_a_link_is_entered_in_a_hostile_folder(victim, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "out").symlink_to(victim.parent)
    for call in (reserve, outputs.check):
        error = refusal(call, model / "out" / "new", untrusted=model)
        assert (type(error), error.code) == (FormatError, "symlink")
    assert names(victim.parent) == {"authorized_keys"}


def test_a_hostile_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "model.sig")
    error = refusal(reserve, tmp_path / "model.sig", overwrite=True, untrusted=tmp_path)
    assert (type(error), error.code) == (FormatError, "special-file")


def test_a_folder_in_a_hostile_folder_is_entered(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)  # the way to the folder is the operator's
    (tmp_path / "model" / "below").mkdir(parents=True)
    model = tmp_path / "link" / "model"
    with outputs.reserved(model / "below" / "a.sig", untrusted=model) as output:
        output.write(b"new")
    assert (tmp_path / "model" / "below" / "a.sig").read_bytes() == b"new"


# -- file systems that lack something --------------------------------------------------------------

LACKING = [
    errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS, errno.EINVAL, errno.EXDEV,
]  # fmt: skip


@pytest.fixture
def lacking(monkeypatch):
    """Give a function that has calls of the operating system fail as on another file system."""

    def lack(code, *calls):
        def failing(*_args, **_options):
            raise OSError(code, os.strerror(code))

        for call in calls:
            if call == "tmpfile":
                really = os.open

                def named_only(path, flags, *args, really=really, **options):
                    if flags & os.O_TMPFILE == os.O_TMPFILE:
                        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
                    return really(path, flags, *args, **options)

                monkeypatch.setattr(os, "open", named_only)
            else:
                monkeypatch.setattr(os, call, failing)

    return lack


@pytest.mark.parametrize("code", LACKING, ids=errno.errorcode.get)
@pytest.mark.parametrize(
    "calls",
    [
        ("tmpfile",),
        ("link",),  # also of the file without a name, as without /proc
        ("tmpfile", "link"),
        ("tmpfile", "link", "fsync", "fchmod"),
        ("tmpfile", "link", "fsync", "fchmod", "replace"),
        ("tmpfile", "link", "fsync", "fchmod", "replace", "ftruncate"),
        ("tmpfile", "replace"),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_a_file_is_written_whatever_the_file_system_lacks(
    tmp_path, lacking, code, calls, overwrite
):
    path = tmp_path / "bundle"
    if overwrite:
        path.write_bytes(b"old and longer")
    lacking(code, *calls)
    with outputs.reserved(path, overwrite=overwrite, size=1000) as output:
        assert names(tmp_path) == ({"bundle"} if overwrite else set())
        output.write(b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"new", {"bundle"})


@pytest.mark.parametrize("calls", [("tmpfile", "link"), ("tmpfile", "link", "replace")])
@pytest.mark.parametrize("overwrite", [True, False])
def test_files_that_are_open_need_not_be_renamed_or_removed(
    tmp_path, lacking, monkeypatch, calls, overwrite
):
    """FUSE without renames and SMB do neither."""
    path = tmp_path / "bundle"
    if overwrite:
        path.write_bytes(b"old")
    lacking(errno.EPERM, *calls)
    for name in ("unlink", "replace"):
        monkeypatch.setattr(os, name, closed_files_only(getattr(os, name)))
    outputs.write(path, b"new", overwrite=overwrite)
    assert (path.read_bytes(), names(tmp_path)) == (b"new", {"bundle"})


def closed_files_only(really):
    def call(path, *more, **options):
        own = Path("/proc/self/fd")
        opened = {one.readlink() for one in own.iterdir() if one.exists()}
        folder = own / str(options.get("dir_fd", options.get("src_dir_fd")))
        assert folder.readlink() / path not in opened, "the file would stay"
        return really(path, *more, **options)

    return call


@pytest.mark.parametrize("calls", [("tmpfile", "link"), ("tmpfile", "link", "replace")])
def test_nobody_is_overwritten_where_there_are_no_links(tmp_path, lacking, calls):
    path = tmp_path / "bundle"
    lacking(errno.EOPNOTSUPP, *calls)
    with outputs.reserved(path) as output:
        path.write_bytes(b"theirs")
        assert refusal(output.write, b"ours").code == "already-exists"
    assert (path.read_bytes(), names(tmp_path)) == (b"theirs", {"bundle"})


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path, monkeypatch):
    really = os.fsync

    def files_only(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        really(fd)

    monkeypatch.setattr(os, "fsync", files_only)
    outputs.write(tmp_path / "bundle", b"new", overwrite=False)
    assert (tmp_path / "bundle").read_bytes() == b"new"


def test_a_file_that_cannot_be_synced_is_a_failure(old, tmp_path, lacking):
    lacking(errno.EIO, "fsync")
    error = refusal(outputs.write, old, b"new")
    assert (type(error), error.code, old.read_bytes()) == (Undecided, "cannot-write", b"old")
    assert names(tmp_path) == {"bundle"}


def test_a_file_that_is_mounted_by_itself_is_written_in_place(old, lacking):
    """As Docker mounts one: it cannot be replaced (EBUSY)."""
    inode = old.stat().st_ino
    lacking(errno.EBUSY, "replace")
    outputs.write(old, b"new")
    assert (old.read_bytes(), old.stat().st_ino) == (b"new", inode)
