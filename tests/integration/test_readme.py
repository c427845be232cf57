# SPDX-License-Identifier: Apache-2.0
"""What the README tells people to type, typed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from shutil import which

import pytest
from needs import needs_mlserver
from patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def script(section: str) -> str:
    """Return the shell and Python blocks of a section as one shell script."""
    parts = []
    for language, code in _BLOCK.findall(section):
        parts.append(code if language == "sh" else f"python - <<'PYTHON'\n{code}PYTHON\n")
    return "set -euo pipefail\n" + "\n".join(parts) + "wait || true\n"


def on_free_ports(text: str) -> str:
    """Return the text with MLServer's usual ports exchanged for free ones."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for port, taken in zip(("8080", "8081", "8082"), (one, two, three), strict=True):
            taken.bind(("127.0.0.1", 0))
            text = text.replace(port, str(taken.getsockname()[1]))
    return text


@needs_mlserver
@pytest.mark.skipif(which("curl") is None, reason="the tour asks the server with curl")
def test_the_tour(tmp_path):
    readme = (ROOT / "README.md").read_text()
    section = readme.split("## A tour in five minutes")[1].split("\n## ")[0]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    log = tmp_path.with_suffix(".log")
    with log.open("w") as said:
        tour = subprocess.Popen(
            ["bash", "-c", on_free_ports(script(section))], cwd=tmp_path, env=environment,
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = tour.wait(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(tour.pid, signal.SIGTERM)  # what a failed tour leaves behind

    said = log.read_text()
    assert code == 0, said
    for told in (
        "SIGNED models/digits",
        "OK models/digits: signed by alice@example.com",
        "NOT CHECKED",
        "FAIL models/tampered: [digest-mismatch]",
        "exit code 1",
        "False digest-mismatch ('model.joblib',)",
        "SVC(gamma=0.001)",
        '"name":"digits"',
        "\n200\n",
        "Invalid signature for model 'tampered'",
        "\n400\n",
    ):
        assert told in said, f"{told!r} is not in:\n{said}"


def test_links_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert len(pages) > 5
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in _LINK.findall(page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
