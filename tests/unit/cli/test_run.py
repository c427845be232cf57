# SPDX-License-Identifier: Apache-2.0
"""What all commands share: errors of files and of stdout, quiet, Ctrl-C, closed streams."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from in_process import invoke
from patience import PATIENCE

from modelseal.cli import _run

MODELSEAL = [sys.executable, "-m", "modelseal"]


def shell(command, **options):
    """Run a shell command in which "$@" is modelseal."""
    return subprocess.run(
        ["bash", "-c", command, "bash", *MODELSEAL], capture_output=True, text=True, check=False,
        timeout=PATIENCE, **options,
    )  # fmt: skip


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(2000):
        (folder / f"file-{number}").write_text("x")
    return folder


@pytest.fixture
def keys(tmp_path):
    assert invoke("key", "generate", tmp_path / "release.key").exit_code == 0
    return tmp_path / "release.key", tmp_path / "release.pub"


# -- errors of files -------------------------------------------------------------------------------


def broken(error):
    def run(_options):
        raise error

    return run


@pytest.mark.parametrize(("error", "message"), [
    (PermissionError(13, "Permission denied", "/x\n"), r"'/x\n' cannot be used: Permission denied"),
    (OSError(28, "No space left on device"), "The operating system refuses: No space left on dev"),
    (OSError(5, "Input/output error", b"/m/\xff"), r"'/m/\udcff' cannot be used: Input/output"),
    (BlockingIOError(11, "Resource temporarily unavailable", 4), "refuses: Resource temporarily"),
])  # fmt: skip
def test_an_error_of_a_file_is_that_of_the_file(monkeypatch, error, message):
    monkeypatch.setattr("modelseal.cli.inspect.run", broken(error))
    done = invoke("inspect", "x")
    assert done.exit_code == 3
    assert message in done.stderr
    assert "[io-error]" in done.stderr
    assert "answer" not in done.stderr
    document = json.loads(invoke("inspect", "x", "--format", "json").stdout)
    assert document["error"]["code"] == "io-error"


def test_no_temporary_folder_is_named_with_its_variable(monkeypatch):
    error = FileNotFoundError(2, "No usable temporary directory found in ['/tmp', '/x']")
    monkeypatch.setattr("modelseal.cli.inspect.run", broken(error))
    done = invoke("inspect", "x")
    assert "be written: tried ['/tmp', '/x']. [no-temporary-folder]" in done.stderr
    assert "hint: Set TMPDIR" in done.stderr


def test_a_defect_of_ours_is_reported_as_one(monkeypatch):
    monkeypatch.setattr("modelseal.cli.inspect.run", broken(ZeroDivisionError("oh")))
    done = invoke("inspect", "x")
    assert done.exit_code == 3
    assert "error: modelseal failed: ZeroDivisionError: oh. [internal]" in done.stderr


def test_a_folder_whose_name_is_not_utf8(tmp_path, keys):
    """Every command says something true about it, as text and as JSON."""
    name = os.fsdecode(b"m\xff")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "weights").write_text("x")
    signed = tmp_path / "signed"
    signed.mkdir()
    (signed / "weights").write_text("x")
    assert invoke("sign", signed, "--key", keys[0]).exit_code == 0
    (folder / "model.sig").write_bytes((signed / "model.sig").read_bytes())
    for arguments, code in (
        (["verify", folder, "--key", keys[1]], None),
        (["inspect", folder], None),
        (["digest", folder], None),
        (["diff", folder, signed], None),
        (["sign", folder, "--key", keys[0], "--overwrite"], "name-not-utf8"),
        (["sign", folder / "weights", "--key", keys[0], "--oms"], None),
        (["key", "generate", folder / "other.key"], None),
        (["verify", folder, "--key", folder / "missing.pub"], "not-found"),
        (["sign", folder / "missing", "--key", keys[0]], "not-found"),
        (["verify", tmp_path / os.fsdecode(b"none\xff"), "--key", keys[1]], "not-found"),
        (["instance", "trusted-root", "--data", folder], "no-instance"),
    ):
        done = invoke(*map(os.fspath, arguments))
        assert done.output.isascii()
        assert (done.exit_code == 0) is (code is None), done.output
        assert code is None or f"[{code}]" in done.output


# -- stdout and stderr -----------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", ["digest {}", "diff {} {}", "--help", "help verify",
                                       "digest {} --format json"])  # fmt: skip
def test_a_reader_that_goes_away_is_silent(model, arguments):
    command = f'"$@" {arguments.format(model, model.parent)} | head -c 1'
    done = shell(command)
    assert len(done.stdout) <= 1
    assert done.stderr == ""
    assert shell(f'"$@" {arguments.format(model, model)} 2>&1 | head -c 1').stderr == ""


@pytest.mark.parametrize("arguments", ["digest {}", "--help", "-V", "verify {} --format json"])
def test_a_full_disk_behind_stdout_is_no_answer(model, arguments):
    done = shell(f'"$@" {arguments.format(model)} > /dev/full')
    assert done.returncode == 3
    assert done.stderr == ("error: cannot write the answer to stdout: No space left on device\n")


def test_streams_that_are_closed(model, keys):
    """Nothing that belongs on one of them goes to the other, or to a file that is opened later."""
    done = shell(f'"$@" sign {model} --key {keys[0]} >&-')
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = shell(f'"$@" verify {model} --key {keys[1]} --format json 2>&-')
    assert json.loads(done.stdout)["exit_code"] == 0
    done = shell(f'"$@" verify {model} 2>&-')
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    done = shell(f'"$@" verify {model} --key {keys[1]} >&- 2>&-')
    assert done.returncode == 0


def test_ctrl_c_ends_with_130():
    """It waits for a password: the key goes to the terminal that it waits at."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [*MODELSEAL, "instance", "hash-password", "alice@example.com"])
    seen = b""
    while b"assword" not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    try:
        while part := os.read(terminal, 1024):
            seen += part
    except OSError:  # EIO: the process is gone
        pass
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert b"interrupted" in seen
    assert b"Traceback" not in seen


def test_ctrl_c_while_modules_are_imported_is_no_traceback():
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'argparse':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "import modelseal.cli\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.modules.pop('argparse', None)\n"
        "modelseal.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify"], capture_output=True, text=True, check=False
    )
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


# -- quiet -----------------------------------------------------------------------------------------


def test_quiet_prints_what_is_wrong_and_nothing_else(tmp_path, keys):
    (tmp_path / "model.bin").write_text("x")
    (tmp_path / "list.json").write_text(
        invoke("digest", tmp_path / "model.bin", "--format", "json").stdout
    )
    sign = ["sign", tmp_path / "model.bin", "--key", keys[0]]
    verify = ["verify", tmp_path / "model.bin", "--key", keys[1]]
    assert invoke(*sign, "-q").output == ""
    assert invoke(*verify, "--quiet").output == ""
    assert invoke("-q", *verify).output == ""
    assert invoke("key", "generate", "-q", tmp_path / "other.key").output == ""
    done = invoke("-q", "diff", tmp_path / "list.json", tmp_path / "model.bin")
    assert (done.stdout, done.stderr) == ("no difference\n", "")
    (tmp_path / "model.bin").write_text("y")
    done = invoke(*verify, "-q")
    assert done.exit_code == 1
    assert done.stdout.startswith("FAIL ")
    assert "error: " in invoke(*sign, "-q").stderr
    assert "note" in invoke("diff", tmp_path / "list.json", tmp_path / "model.bin").stderr


def test_quiet_is_over_with_the_command(tmp_path):
    (tmp_path / "model.bin").write_text("x")
    invoke("-q", "digest", tmp_path / "model.bin")
    assert not _run.is_quiet()
