# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="its argparse breaks the lines of a usage elsewhere"
)
def test_the_page_is_what_the_commands_say():
    made = runpy.run_path(str(ROOT / "scripts" / "make_cli_docs.py"))["page"]()

    assert (ROOT / "docs" / "cli.md").read_text() == made, "run: make docs"
