# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md has every code that the source can raise, with its exit code, and no other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src" / "modelseal"

# What makes an error, and which of its arguments is the code.
MAKERS = {
    "FormatError": 0, "Unverified": 0, "Undecided": 0, "UsageError": 0, "SignInNeeded": 0,
    "Refused": 1, "refused": 1, "_refused": 1, "_answer_failure": 1, "Reason": 1,
}  # fmt: skip
EXIT = {"FormatError": 1, "Unverified": 1, "refused": 1, "_refused": 1, "Reason": 1,
        "UsageError": 2, "Undecided": 3, "SignInNeeded": 4}  # fmt: skip
_CODE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")


def trees() -> list[ast.Module]:
    return [ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")]


def raised() -> dict[str, set[str]]:
    """Return each code that a call makes an error of, and what makes it."""
    found = defaultdict(set)
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                place = MAKERS.get(name)
                code = node.args[place] if place is not None and len(node.args) > place else None
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    found[code.value].add(name)
    return found


def words() -> set[str]:
    """Return every string of the source that could be a code."""
    strings = {n.value for t in trees() for n in ast.walk(t) if isinstance(n, ast.Constant)}
    return {text for text in strings if isinstance(text, str) and _CODE.fullmatch(text)}


def rows() -> list[list[str]]:
    """Return the rows of the page's tables that begin with a code."""
    lines = (ROOT / "docs" / "errors.md").read_text().splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:3] == "| `"]


def documented() -> set[str]:
    return {code for row in rows() for code in re.findall(r"`([^`]+)`", row[0])}


def test_the_extraction_finds_codes():
    assert {"digest-mismatch", "unsigned", "too-large", "no-rule", "bad-policy"} <= raised().keys()


def test_every_code_is_on_the_page():
    assert raised().keys() - documented() == set()


def test_every_code_on_the_page_is_in_the_source():
    assert documented() - words() == set()


def test_exit_codes_on_the_page_are_those_of_the_classes():
    made = raised()
    for row in rows():
        exits = (
            {int(text) for text in row[1].split(", ")} if re.fullmatch(r"[\d, ]+", row[1]) else ()
        )
        if not exits or min(exits) >= 100:  # HTTP statuses, and tables without exit codes
            continue
        for code in re.findall(r"`([^`]+)`", row[0]):
            known = {EXIT[maker] for maker in made.get(code, ()) if maker in EXIT}
            assert known <= exits, f"{code} exits with {known}"
