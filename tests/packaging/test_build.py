# SPDX-License-Identifier: Apache-2.0
"""What the build must not depend on: how busy the machine is, and tags that somebody can move."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_LIMIT = re.compile(
    r"(?:timeout=|\.wait\(|\.join\(|(?:wait_for|select)\(.*, |SECONDS = )[1-9]\d*\b"
)
_ACTION = re.compile(r"^\s*(?:- )?uses: (.*)$", re.MULTILINE)
_PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")


def test_tests_give_up_only_after_patience():
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "tests").rglob("*.py")
        for line in path.read_text().splitlines()
        if _LIMIT.search(line)
    ]
    assert found == [], "a busy machine takes longer: use PATIENCE of tests/helpers/patience.py"


@pytest.mark.parametrize("workflow", [*(ROOT / ".github" / "workflows").iterdir()])
def test_actions_are_pinned_by_commit(workflow):
    actions = _ACTION.findall(workflow.read_text())
    assert actions
    assert [action for action in actions if not _PINNED.fullmatch(action)] == []
