# SPDX-License-Identifier: Apache-2.0
"""The demo as a user starts it: told as it should be, and gone without a trace however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from needs import needs_mlserver
from patience import PATIENCE

pytestmark = needs_mlserver
MODELSEAL = str(Path(sys.executable).with_name("modelseal"))


@pytest.fixture
def place(tmp_path):
    """Where the demo runs; its temporary folders go to place/tmp."""
    (tmp_path / "tmp").mkdir()
    return tmp_path


def environment(place: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONUNBUFFERED": "1"}


def left_over(place: Path) -> list[str]:
    """Return the command lines of processes that still work below `place`."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink().is_relative_to(place):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return found


def demo(place: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MODELSEAL, "demo", *options], cwd=place, env=environment(place),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def test_the_story_comes_out_as_told(place):
    done = demo(place, "--keep", "kept")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "OK models/good-model" in done.stdout
    assert "FAIL models/tampered-model: [digest-mismatch]" in done.stdout
    assert "400 Invalid signature" in done.stdout
    table = done.stdout.partition("The story, step by step")[2]
    assert table.count(" yes") == 15
    assert " NO" not in table
    assert "not tried" not in table

    # reads well where there is no terminal: no colours, 80 columns
    assert "\x1b" not in done.stdout
    story = [line for line in done.stdout.splitlines() if str(place) not in line]
    assert max(map(len, story)) <= 80
    assert "eyJ" not in done.stdout  # the token stays off the screen

    kept = place / "kept"
    assert (kept / "models" / "good-model" / "model.sig").is_file()
    assert not list(place.rglob("pwnd.txt"))
    assert not list((place / "tmp").iterdir())
    assert left_over(place) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_neither_process_nor_folder(place, number):
    with subprocess.Popen(
        [MODELSEAL, "demo", "--fast"], cwd=place, env=environment(place),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as story:  # fmt: skip
        for line in story.stdout:
            if "Sign the files" in line:  # the instance runs, a command is running
                break
        assert any("instance up" in command for command in left_over(place))
        story.send_signal(number)
        said, _ = story.communicate(timeout=PATIENCE)

    assert story.returncode not in {0, None}
    assert "Traceback" not in said
    assert left_over(place) == []
    assert list((place / "tmp").iterdir()) == []


def test_keep_wants_an_empty_folder(place):
    (place / "full").mkdir()
    (place / "full" / "mine.txt").write_text("mine")

    done = demo(place, "--keep", "full")

    assert done.returncode == 2
    assert "[not-empty]" in done.stderr
    assert (place / "full" / "mine.txt").read_text() == "mine"


def test_nowhere_to_write(place):
    done = demo(place, "--keep", "/proc/nowhere")

    assert done.returncode == 3
    assert "[cannot-write]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_leaves_nothing(place):
    with subprocess.Popen(
        [MODELSEAL, "demo", "--fast"], cwd=place, env=environment(place),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as story:  # fmt: skip
        story.stdout.readline()
        story.stdout.close()
        _, said = story.communicate(timeout=PATIENCE)

    assert story.returncode != 0
    assert "Traceback" not in said
    assert left_over(place) == []
    assert list((place / "tmp").iterdir()) == []


def test_without_its_packages_it_says_what_to_install(place):
    broken = place / "broken"
    (broken / "sklearn").mkdir(parents=True)
    code = (
        "import importlib.util as u, modelseal.cli as c, modelseal.cli.demo as d\n"
        "d.find_spec = lambda n: None if n == 'sklearn' else u.find_spec(n)\n"
        "c.main(['demo'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "sklearn" in done.stderr
    assert "pip install 'modelseal[demo]'" in done.stderr
