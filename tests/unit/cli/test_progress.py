# SPDX-License-Identifier: Apache-2.0
"""Progress on a terminal: how much of what there is, how fast, how long still; a summary."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from in_process import invoke

from modelseal.cli import _progress

SIZE = 50_000_000  # bytes of a model
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")

# Shown from the first byte on, however fast the machine is.
SCRIPT = """
import sys
from modelseal.cli import _progress, main
_progress._PATIENCE = -1
main(sys.argv[1:])
"""


@pytest.fixture
def keys(tmp_path):
    assert invoke("key", "generate", tmp_path / "release.key").exit_code == 0
    return tmp_path / "release.key", tmp_path / "release.pub"


@pytest.fixture
def models(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "weights").touch()
        os.truncate(folder / "sub" / "weights", SIZE)
    return folders


def on_terminal(*arguments):
    """Return the exit code, what was answered, and what the terminal behind stderr was sent."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    env = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    seen = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=env) as process:
        os.close(end)
        try:
            while part := os.read(terminal, 4096):
                seen += part
        except OSError:  # EIO: the process is gone
            pass
        answer = process.stdout.read().decode()
    os.close(terminal)
    return process.returncode, answer, _ESCAPES.sub(b"", seen).decode()


def test_percent_size_speed_and_remaining_time(models):
    code, answer, seen = on_terminal("digest", models[0])
    assert code == 0
    assert answer.startswith("sha256:")
    bars = re.findall(r"Hashing \S+ +(\d+)% ([\d.]+)/([\d.]+) MB (\S+ \S+|\?) ([\d:-]+)", seen)
    assert bars, seen
    percents = [int(bar[0]) for bar in bars]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert {bar[2] for bar in bars} == {"50.0"}
    assert any(bar[3].endswith("/s") for bar in bars)


def test_several_models_are_one_sum_and_end_with_a_summary(models, keys):
    code, _, seen = on_terminal("sign", *models, "--key", keys[0])
    assert code == 0
    assert "/100.0 MB" in seen
    assert re.search(r"[\r\n]2 models signed; read 100\.0 MB in [\d.]+ s \([\d.]+ .B/s\)", seen)
    (models[1] / "sub" / "weights").write_text("other")
    code, answer, seen = on_terminal("verify", *models, "--key", keys[1])
    assert code == 1
    assert [line.split()[0] for line in answer.splitlines()] == ["OK", "FAIL"]
    assert "/50.0 MB" in seen
    assert re.search(r"[\r\n]2 models: 1 accepted, 1 refused; read 50\.0 MB in ", seen)


def test_without_a_terminal_the_summary_has_the_counts(models, keys):
    assert invoke("sign", *models, "--key", keys[0]).stderr == "2 models signed\n"
    done = invoke("verify", *models, models[0].parent / "none", "--key", keys[1])
    assert done.stderr.splitlines()[-1] == "3 models: 2 accepted, 1 undecided"
    assert "%" not in done.stderr
    done = invoke("verify", models[0], "--key", keys[1])
    assert "models" not in done.stderr.replace(str(models[0]), "")


def test_quiet_shows_neither(models, keys):
    assert on_terminal("sign", *models, "--key", keys[0], "-q") == (0, "", "")


def test_sizes_are_those_of_regular_files_and_links_to_them(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"123")
    (folder / "link").symlink_to("a")
    (folder / "dangling").symlink_to("nothing")
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe")
    assert _progress.size_of([folder]) == 6
    assert _progress.size_of([folder, folder / "a"]) == 9
    assert _progress.size_of([folder, tmp_path / "missing"]) is None
