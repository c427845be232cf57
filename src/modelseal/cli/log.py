# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal log`: the decisions that servers wrote down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, REFUSED, answer, is_quiet, note, print_document, styled
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.admission.chain import Chain
    from modelseal.cli._options import Options, Parser

HELP = """\
Verify the log of decisions that a policy has its servers write ([log] path).

Examples:
  modelseal log verify /var/log/modelseal/decisions.jsonl
"""

_VERIFY = """\
Find lines of a log that were changed, added or taken out, and name them.

The older files of a log, FILE.NUMBER, are read too. Each line has the digest of
the one before, and FILE.head knows the last one. Who can write all of these
files can make a new chain: note the digest that this command prints somewhere
else, and give it later with --entry.

Exit code: 0 the log is whole, 1 it is not.
"""


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    verify = parser.commands().add_parser(
        "verify", help="Find lines that were changed or taken out.", description=_VERIFY
    )
    verify.set_defaults(command=_verify)
    verify.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="The log.")
    verify.add_argument(
        "--entry", metavar="DIGEST", help="An entry, noted earlier, that must still be there."
    )
    add_format(verify)


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    code: int = options.command(options)
    return code


def _verify(options: Options) -> int:
    from modelseal.admission import chain

    found = chain.verify(options.paths, noted=options.entry)
    code = REFUSED if found.problems else ACCEPTED
    if options.output == "json":
        print_document("log verify", code, log=to_dict(found))
        return code
    for one in found.problems:
        where = shown(str(one.file)) + (f":{one.line}" if one.line else "")
        answer(f"{styled('FAIL ', 'red')}{where}: {one.message}")
    entries = "1 entry" if found.entries == 1 else f"{found.entries} entries"
    span = f", {found.first} to {found.last}, {found.since} to {found.until}"
    summary = entries + (shown(span) if found.entries else "")
    if not found.problems and not is_quiet():
        answer(f"{styled('OK ', 'green')}{summary}")
    if found.digest:
        note(f"last entry: {found.digest}")
    return code


def to_dict(found: Chain) -> dict[str, Any]:
    """Return plain JSON values."""
    return {
        **found._asdict(),
        "files": [str(file) for file in found.files],
        "problems": [{**one._asdict(), "file": str(one.file)} for one in found.problems],
    }
