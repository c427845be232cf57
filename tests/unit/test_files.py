# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

import modelseal
from modelseal import outputs
from modelseal.admission import store as place
from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError
from modelseal.files import read_trusted, read_untrusted


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_path(tmp_path, name):
    path = tmp_path / name
    calls = (
        lambda: read_trusted(path, 10, "file"),
        lambda: read_untrusted(path, 10, "file"),
        lambda: outputs.write(path, b""),
        lambda: place.prepare(path),
        lambda: modelseal.verify(path, identity="a", issuer="b", trust=path),
    )
    for call in calls:
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == "not-found"


def test_writes_any_name_that_a_file_can_have(tmp_path):
    path = tmp_path / ("é" * 127)  # 254 bytes
    outputs.write(path, b"all", overwrite=False)
    assert path.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [path]


# -- reading what the operator names ---------------------------------------------------------------


def test_reads_a_mounted_config_map(config_map):
    path = config_map("root.json", b"{}")
    assert path.is_symlink()
    assert read_trusted(path, 2, "trusted root") == b"{}"


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_reads_a_pipe_to_its_end(fifo, size):
    data = os.urandom(size)
    path = fifo("pipe", data)
    assert read_trusted(path, 3_000_000, "bundle") == data


def test_reads_an_inherited_descriptor():
    """As `<(command)` is given to a program."""
    read, write = os.pipe()
    os.write(write, b"bundle")
    os.close(write)
    try:
        assert read_trusted(Path(f"/dev/fd/{read}"), 10, "bundle") == b"bundle"
    finally:
        os.close(read)


_READ_STDIN = (
    "import sys, pathlib, modelseal.files as files\n"
    "data = files.read_trusted(pathlib.Path('/dev/stdin'), 100, 'bundle')\n"
    "sys.stdout.buffer.write(data)"
)


def test_reads_stdin_from_a_pipe_a_file_and_a_socket(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"skipped rest")
    ours, theirs = socket.socketpair()  # what Node.js and inetd give as stdin
    with ours, theirs, file.open("rb") as half_read:
        half_read.seek(len(b"skipped "))
        ours.sendall(b"by socket")
        ours.shutdown(socket.SHUT_WR)
        command = [sys.executable, "-c", _READ_STDIN]
        by_pipe = subprocess.check_output(command, input=b"by pipe", timeout=PATIENCE)
        by_file = subprocess.check_output(command, stdin=half_read, timeout=PATIENCE)
        by_socket = subprocess.check_output(command, stdin=theirs, timeout=PATIENCE)
    assert (by_pipe, by_file, by_socket) == (b"by pipe", b"rest", b"by socket")


def test_no_source_is_read_without_end():
    with pytest.raises(FormatError, match=r"/dev/zero.* is larger than 5000000 bytes") as caught:
        read_trusted(Path("/dev/zero"), 5_000_000, "policy")
    assert caught.value.code == "too-large"


def test_says_what_it_is_that_cannot_be_read(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    said = {
        name: refusal(lambda name=name: read_trusted(tmp_path / name, 10, "policy"))
        for name in ("folder", "file/below", "loop", "dangling", "missing", "socket")
    }
    listening.close()
    assert {name: (type(error), error.code) for name, error in said.items()} == {
        "folder": (UsageError, "not-a-file"),
        "file/below": (UsageError, "not-a-file"),
        "loop": (UsageError, "not-a-file"),
        "dangling": (UsageError, "not-found"),
        "missing": (UsageError, "not-found"),
        "socket": (UsageError, "not-a-file"),
    }
    for name, error in said.items():
        assert error.message.startswith("The policy '"), error
        assert str(tmp_path / name) in error.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_names_the_file_without_permission(tmp_path):
    path = tmp_path / "policy.toml"
    path.touch(mode=0)
    found = refusal(lambda: read_trusted(path, 10, "policy"))
    assert (type(found), found.code, str(path) in found.message) == (Undecided, "unreadable", True)


# -- reading what lies in a hostile folder ---------------------------------------------------------


def test_follows_no_link_and_waits_for_no_pipe(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(bytes(11))
    codes = {
        name: refusal(lambda name=name: read_untrusted(tmp_path / name, 10, "bundle")).code
        for name in ("link", "fifo", "folder", "large", "missing")
    }
    assert codes == {
        "link": "symlink", "fifo": "special-file", "folder": "special-file",
        "large": "too-large", "missing": "not-found",
    }  # fmt: skip


def test_reads_a_file_that_does_not_tell_its_size():
    assert read_untrusted(Path("/proc/self/status"), 100_000, "status").startswith(b"Name:")


def refusal(call) -> ModelSealError:
    with pytest.raises(ModelSealError) as caught:
        call()
    return caught.value
