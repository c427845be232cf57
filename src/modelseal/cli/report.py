# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal report`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import JOBS, SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import add_jobs, reading_of
from modelseal.cli._progress import byte_progress
from modelseal.cli._run import answer, note, print_document
from modelseal.cli._signers import add_signers, request_of
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from modelseal.admission.report import Report
    from modelseal.cli._options import Options, Parser

HELP = """\
Report on all models below a folder: accepted, refused, unsigned, drifted, expiring.

A model has drifted if its files are not the ones that were signed, and is expiring if its
signature soon stops verifying. Nothing is changed.

Exit code: 0 all accepted, 1 one refused, unsigned or drifted, 2 wrong usage, 3 one undecided.

Examples:
  modelseal report models/ --policy policy.toml
  modelseal report models/ --policy policy.toml --format html --out report.html
  modelseal report models/ --policy policy.toml --format sarif --out report.sarif
"""
_MOST_DAYS = 36_500


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="Where the models are, however deep.")
    add("--out", type=Path, metavar="FILE", help="Write the report there. [default: stdout]")
    add(
        "--expires-within", type=int, default=30, metavar="DAYS",
        help="What stops verifying within so many days is expiring. [default: 30]",
    )  # fmt: skip
    add_signers(parser)
    add(
        "--format", dest="output", choices=("text", "json", "html", "sarif"), default="text",
        help="html: one page that needs no other file. sarif: for code scanning. [default: text]",
    )  # fmt: skip
    add_jobs(parser)
    add_defaults(parser, SIGNER, TRUST, JOBS)


def run(options: Options) -> int:
    """Report; return the exit code."""
    from modelseal.cli._render import exit_code_for

    apply_defaults(options, SIGNER, TRUST, JOBS)
    if not 0 <= options.expires_within <= _MOST_DAYS:
        message = f"--expires-within is 0 to {_MOST_DAYS:,} days."
        raise UsageError("bad-usage", message, "Give fewer.")
    if options.out is not None:
        from modelseal import outputs

        outputs.check(options.out, overwrite=True)
    found = _report(options)
    code = exit_code_for([row.verdict for row in found.rows])
    if options.output == "json" and options.out is None:
        print_document("report", code, **to_document(found))
        return code
    _write(options, _text(options.output, found, code))
    counts = ", ".join(f"{count} {state}" for state, count in found.counts().items())
    note(f"{len(found.rows)} models: {counts}")
    return code


def to_document(found: Report) -> dict[str, object]:
    """Return the members of the report as a JSON document."""
    return {
        "root": found.root,
        "time": found.at.isoformat(),
        "counts": found.counts(),
        "models": [row.to_dict() for row in found.rows],
    }


def _report(options: Options) -> Report:
    from modelseal.admission.discover import discover
    from modelseal.admission.many import check_all
    from modelseal.admission.report import report
    from modelseal.admission.request import asked

    policy, verifier = asked(**request_of(options))
    paths = discover(options.folder)
    with byte_progress("Verifying", paths) as progress:
        reading = reading_of(options, progress)._replace(complete=True)
        verdicts = check_all(paths, policy, verifier, reading)
    at, soon = datetime.now(UTC), timedelta(days=options.expires_within)
    return report(str(options.folder), verdicts, at, soon)


def _text(form: str, found: Report, code: int) -> str:
    if form == "html":
        from modelseal.cli._report_page import page

        return page(found)
    if form == "text":
        return "".join(_lines(found))
    import json

    from modelseal.cli._report_sarif import to_sarif
    from modelseal.cli._run import SCHEMA

    head = {"schema": SCHEMA, "command": "report", "exit_code": code}
    document = to_sarif(found) if form == "sarif" else {**head, **to_document(found)}
    return json.dumps(document, indent=2) + "\n"


def _lines(found: Report) -> list[str]:
    lines = []
    for row in found.rows:
        verdict = row.verdict
        lines.append(f"{row.state:10}{shown(verdict.model)}")
        if row.state != "accepted":
            lines.append(f": [{verdict.code}] {verdict.message}")
        if verdict.until is not None:
            lines.append(f" (verifies until {verdict.until:%Y-%m-%d})")
        lines.append("\n")
    return lines


def _write(options: Options, text: str) -> None:
    if options.out is None:
        answer(text, end="")
        return
    from modelseal import outputs

    outputs.write(options.out, text.encode())
