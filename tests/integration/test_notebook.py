# SPDX-License-Identifier: Apache-2.0
"""The notebook runs, and tells what its committed outputs tell."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from needs import needs_mlserver
from patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "examples" / "sign-and-serve.ipynb"

# What differs from run to run and does not matter.
_DATE = r"\d{4}-\d\d-\d\d"
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?: ?(?:UTC|Z|[+-]\d\d:\d\d))?"
_CHANCE = (
    (r"127\.0\.0\.1:\d+", "127.0.0.1:PORT"),
    (r"datetime\.datetime\([^()]*\btzinfo=[\w.]+\)", "TIME"),
    (rf"\b{_DATE}(?:[T ]{_CLOCK})?", "TIME"),
    (r"digest=b'(?:[^'\\]|\\.)*'|digest=b\"(?:[^\"\\]|\\.)*\"", "DIGEST"),
    (r"sha256 [0-9a-f]{12}", "sha256 DIGEST"),
    (r"\d[\d,]* B</td>", "SIZE</td>"),  # of a pickle, by the versions of who wrote it
)


def outputs(notebook: Path) -> list[tuple[str, str]]:
    """Return for each code cell its source and what it showed, without what is chance."""
    found = []
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] == "code":
            shown = json.dumps([_data(output) for output in cell["outputs"]], ensure_ascii=False)
            found.append(("".join(cell["source"]), shown))
    return found


def _data(output: dict) -> object:
    data = output.get("data") or {"text/plain": output["text"]}
    return {kind: _without_chance("".join(lines)) for kind, lines in data.items()}


def _without_chance(text: str) -> str:
    for pattern, word in _CHANCE:
        text = re.sub(pattern, word, text)
    return text


@needs_mlserver
def test_the_notebook_runs_and_its_outputs_are_the_committed_ones(tmp_path):
    (tmp_path / "tmp").mkdir()
    out = tmp_path / "out.ipynb"
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "run_notebook.py", NOTEBOOK, "--out", out],
        env=os.environ | {
            "TMPDIR": str(tmp_path / "tmp"),
            "IPYTHONDIR": str(tmp_path / "ipython"),
            "PATH": "/usr/bin:/bin",  # the commands are those of the interpreter, not of the shell
        },
        cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    for fresh, committed in zip(outputs(out), outputs(NOTEBOOK), strict=True):
        assert fresh == committed, "if this is as it should be: make notebook"

    said = " ".join(shown for _, shown in outputs(out))
    for told in (
        "ACCEPTED", "REFUSED", "signed at", "digest-mismatch", "refused:", "(200, None)", "True",
        "(400,", "Invalid signature for model 'tampered-model'",
    ):  # fmt: skip
        assert told in said
    assert outputs(out)[-2] == ('list(Path().rglob("pwnd.txt"))', '[{"text/plain": "[]"}]')
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    "time",
    ["2026-11-24", "2028-04-08 14:03:59 UTC", "2026-01-31T00:00:00.5+14:00", "2027-01-01 09:05"],
)
def test_outputs_of_another_day_are_the_same(time):
    assert _without_chance(f"<td>{time}</td>") == "<td>TIME</td>"


def test_the_notebook_tells_nothing_about_where_it_was_made():
    text = NOTEBOOK.read_text()
    assert not re.search(r"eyJ|/home/|/root/|/tmp/|/var/|site-packages", text)
