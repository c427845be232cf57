# SPDX-License-Identifier: Apache-2.0
"""A table of models and the verdicts that a policy is expected to have on them.

policy = "policy.toml"          # relative to this file, like the models
[[case]]
model = "models/digits"
verdict = "accepted"
[[case]]
model = "models/tampered"
name = "digits"                 # as if it were named so; by default the name of the path
verdict = "refused"
code = "digest-mismatch"        # by default any
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown
from modelseal.files import read_trusted
from modelseal.policy.reading import Reader
from modelseal.policy.schema import Key

if TYPE_CHECKING:
    from modelseal.policy.verdict import Verdict

LIMIT = 1024 * 1024  # bytes

_CASE = {
    "model": Key("text", "A model, relative to this file.", required=True),
    "name": Key("text", "The name by which rules know it."),
    "bundle": Key("text", "Its bundle, if it is not beside or inside."),
    "verdict": Key(
        "text",
        "What is expected.",
        required=True,
        choices=("accepted", "refused", "undecided", "warned"),
    ),
    "code": Key("text", "The code that is expected."),
}
_TABLE = {
    "policy": Key("text", "The policy, relative to this file.", required=True),
    "case": Key("tables", "The models.", required=True, table=_CASE),
}


@dataclass(frozen=True)
class Case:
    """A model, what rules call it, and the verdict that is expected; no `code` means any."""

    model: Path
    name: str
    bundle: Path | None
    verdict: str
    code: str | None

    def fits(self, verdict: Verdict) -> bool:
        """Return whether `verdict` is as expected."""
        found = "warned" if verdict.warned else verdict.status
        return found == self.verdict and self.code in {None, verdict.code}

    @property
    def expected(self) -> str:
        """Return what is expected, for people."""
        return self.verdict if self.code is None else f"{self.verdict} [{self.code}]"


@dataclass(frozen=True)
class Cases:
    """The file of the policy, and the cases."""

    policy: Path
    cases: tuple[Case, ...]


def load(path: Path) -> Cases:
    """Return the table in the file `path`.

    Raises:
        UsageError, FormatError, Undecided: missing, not such a table, unreadable.
    """
    what = "table of cases"
    folder = Path(os.path.realpath(path)).parent
    try:
        text = read_trusted(path, LIMIT, what).decode()
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of TOML or UTF-8
        message = f"The {what} '{shown(str(path))}' is not TOML: {shown(str(error))}."
        raise FormatError("bad-policy", message, "See docs/policy.md.") from error
    reader = Reader(text, what)
    found = reader.table(document, _TABLE, ())
    if not found["case"]:
        raise reader.error((), "case", f"The {what} has no case")
    return Cases(folder / found["policy"], tuple(_case(one, folder) for one in found["case"]))


def _case(table: dict[str, str], folder: Path) -> Case:
    model = folder / table["model"]
    name = table.get("name", os.path.basename(os.path.abspath(model)))  # noqa: PTH100, PTH119 - a link stays one
    bundle = folder / table["bundle"] if "bundle" in table else None
    return Case(model, name, bundle, table["verdict"], table.get("code"))
