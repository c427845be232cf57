# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_page_is_what_the_commands_say():
    made = runpy.run_path(str(ROOT / "scripts" / "make_cli_docs.py"))["page"]()

    assert (ROOT / "docs" / "cli.md").read_text() == made, "run: make docs"
