# SPDX-License-Identifier: Apache-2.0
"""A report as SARIF 2.1.0 (OASIS), which code scanning reads.

Every model that is not accepted is a result; of one that drifted, every file that differs.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import modelseal
from modelseal.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.admission.report import Report, Row, State

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: dict[State, str] = {
    "refused": "error", "drifted": "error", "unsigned": "error", "undecided": "warning",
    "expiring": "note", "warned": "warning",
}  # fmt: skip
_MOST_FILES = 1000  # of one model


def to_sarif(report: Report) -> dict[str, Any]:
    """Return the report as a SARIF log."""
    results = [result for row in report.rows for result in _results(row)]
    rules = [{"id": one} for one in sorted({str(result["ruleId"]) for result in results})]
    driver = {"name": "modelseal", "version": modelseal.__version__, "rules": rules}
    run = {"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _results(row: Row) -> Iterator[dict[str, Any]]:
    if row.state == "accepted":
        return
    verdict = row.verdict
    if row.state == "expiring" and verdict.until is not None:
        sentence = f"The signature stops verifying at {verdict.until:%Y-%m-%d %H:%M:%S} UTC."
        yield _result(row, "expiring", sentence, verdict.model)
    elif row.state == "drifted":
        files = ((word, name) for word, names in verdict.diff.groups() for name in names)
        for (word, name), _ in zip(files, range(_MOST_FILES), strict=False):
            sentence = f"'{shown(name)}' was {word} since the model was signed."
            place = verdict.model if Path(verdict.model).is_file() else f"{verdict.model}/{name}"
            yield _result(row, verdict.code, sentence, place)
    else:
        yield _result(row, verdict.code, f"{verdict.message} {verdict.hint}".strip(), verdict.model)


def _result(row: Row, rule: str, message: str, place: str) -> dict[str, Any]:
    mark = sha256(f"{rule} {place}".encode(errors="surrogateescape")).hexdigest()
    uri = quote(os.fsencode(place))
    location = {"physicalLocation": {"artifactLocation": {"uri": uri}}}
    return {
        "ruleId": rule,
        "level": _LEVELS[row.state],
        "message": {"text": message},
        "locations": [location],
        "partialFingerprints": {"modelseal/v1": mark},
    }
