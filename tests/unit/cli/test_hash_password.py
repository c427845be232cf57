# SPDX-License-Identifier: Apache-2.0
"""`modelseal instance hash-password`: a password from a terminal or from stdin, or none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from modelseal.instance.users import read_users


def hash_password(*options, data=b"", closed=False):
    """Run it without a terminal, with `data` on stdin, or with stdin closed."""
    command = [sys.executable, "-m", "modelseal", "instance", "hash-password", *options]
    if closed:
        command = ["bash", "-c", '"$@" <&-', "bash", *command]
    return subprocess.run(
        command, input=data, capture_output=True, start_new_session=True, check=False
    )


@pytest.mark.parametrize("data", [b"pass w\xc3\xb6rd" + end for end in (b"", b"\n", b"\r\n")])
def test_one_line_of_stdin_is_the_password(tmp_path, data):
    done = hash_password("alice@example.com", "--password-stdin", data=data)
    assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "users").write_bytes(done.stdout)
    users = read_users(tmp_path / "users")
    assert users.accept("alice@example.com", "pass wörd")
    assert not users.accept("alice@example.com", "pass wörd\n")


@pytest.mark.parametrize(("data", "message"), [
    (b"", b"does not have one line"),
    (b"\n", b"The password is empty"),
    (b"one\ntwo\n", b"does not have one line"),
    (b"x" * 5000, b"does not have one line"),
    (b"\xff\n", b"is not UTF-8"),
])  # fmt: skip
def test_stdin_without_a_password(data, message):
    done = hash_password("alice@example.com", "--password-stdin", data=data)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr
    assert b"[no-password]" in done.stderr


@pytest.mark.parametrize("closed", [False, True])
def test_no_terminal_to_type_it_at(closed):
    done = hash_password("alice@example.com", closed=closed)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"[no-password]" in done.stderr
    assert b"hint: Pipe it in: --password-stdin" in done.stderr
    assert b"Warning" not in done.stderr


def test_closed_stdin():
    done = hash_password("alice@example.com", "--password-stdin", closed=True)
    assert done.returncode == 2
    assert b"[no-password]" in done.stderr


def test_a_wrong_identity_is_refused_before_the_password_is_asked_for():
    done = hash_password("nobody")
    assert b"[bad-identity]" in done.stderr
