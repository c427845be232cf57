# SPDX-License-Identifier: Apache-2.0
"""Each threat has a number of its own, and a test that is there or the word open."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_ROW = re.compile(r"^\| (T\d\d) \|.*\| ([^|]+) \|$", re.MULTILINE)  # its number, its last cell
ROWS = _ROW.findall((ROOT / "docs" / "threat-model.md").read_text())


def path_of(name: str) -> Path:
    return ROOT / name if "/" in name else ROOT / "tests" / "adversarial" / name


def test_each_threat_has_a_number_of_its_own():
    ids = [threat for threat, _ in ROWS]

    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_each_threat_names_tests_that_are_there_or_is_open():
    for threat, tests in ROWS:
        named = re.findall(r"`([^`]+\.py)`", tests)
        assert named or "open" in tests, threat
        missing = [name for name in named if not path_of(name).is_file()]
        assert missing == [], threat


def test_each_adversarial_test_is_of_a_threat_on_the_page():
    ids = {threat for threat, _ in ROWS}

    for path in (ROOT / "tests" / "adversarial").glob("test_T*.py"):
        assert path.name.split("_")[1] in ids, path.name
