# SPDX-License-Identifier: Apache-2.0
"""Our verifier against sigstore-python on bundles that were wrong before they were signed.

`test_differential.py` bends what is written in a bundle. Here certificates, log entries,
checkpoints, timestamps, envelopes and trusted roots are bent and then issued, logged, signed and
stamped anew, as an attacker could, or a careless CA, log or authority (tests/helpers/forging).
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from forging import bends, compare, differences, oracle
from forging.bundles import KINDS
from hypothesis import settings

TABLE = differences.SIGSTORE_PYTHON


@pytest.fixture(autouse=True, scope="module")
def _quiet():
    logger = logging.getLogger("sigstore")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_bent_is_accepted(kind):
    assert compare.verdicts(kind) == ("", "")


def kinds_for(name: str) -> list[str]:
    """Return all kinds for a bend that is known to make a difference, a third for others.

    Every kind meets every third bend; `make fuzz TARGET=differential` tries all, and several.
    """
    if name in differences.listed(TABLE):
        return list(KINDS)
    return list(KINDS)[list(bends.BENDS).index(name) % 3 :: 3]


@pytest.mark.parametrize("group", bends.GROUPS)
def test_every_bend(group):
    wrong, seen = [], set()
    for name in (name for name in compare.COMPARED if name.startswith(f"{group}: ")):
        for kind in kinds_for(name):
            mine, theirs = compare.verdicts(kind, name)
            if bool(mine) == bool(theirs):
                continue
            if mine in differences.allowed(TABLE, (name,)):
                seen.add(name)
            else:
                wrong.append((name, kind, mine, theirs))
    assert not wrong, "\n".join(map(str, wrong))
    expected = {name for name in differences.listed(TABLE) if name.startswith(f"{group}: ")}
    assert seen == expected  # a difference that is gone is taken off the list


@pytest.mark.parametrize("name", bends.UNSTEADY)
def test_what_sigstore_python_answers_by_chance_we_always_accept(name):
    for made in KINDS.values():
        assert oracle.ours(bends.BENDS[name](made).build()) == ""


@pytest.mark.parametrize("check", [compare.several_bends, compare.bent_before_and_after])
def test_at_random(check):
    settings(max_examples=300)(check)()


@pytest.mark.parametrize("table", [TABLE, differences.SIGSTORE_GO])
def test_every_difference_stands_in_the_documentation(table):
    page = Path(__file__).parents[3] / "docs" / "verification.md"
    text = " ".join(page.read_text().split())
    assert [words for words in table if f"| {words} |" not in text] == []
