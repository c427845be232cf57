# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal server`: look at a server that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, print_document, say, styled
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser
    from modelseal.cli._run import Colour
    from modelseal.servers.status import ModelStatus, ServerStatus

HELP = """\
Look at a model server that runs.

Example:
  modelseal server status http://127.0.0.1:8080
"""

_STATUS = """\
Show the models of the server at URL: which are loaded, which were accepted, and why not. The server
speaks the V2 inference protocol, as MLServer does. Without modelseal in it nobody knows the
verdicts. The exit code is 0 if the server answers, whatever it says.
"""

_TITLES = ("NAME", "VERSION", "STATE", "VERDICT", "REASON")
_COLOURS: dict[str, Colour] = {"accepted": "green", "refused": "red", "undecided": "yellow"}
_WIDEST = 40  # characters of a name


def add_options(parser: Parser) -> None:
    """Say which commands and options the command has."""
    commands = parser.commands()
    status = commands.add_parser(
        "status", description=_STATUS, help="Show its models, verdicts and reasons."
    )
    status.set_defaults(command=_status)
    status.add_argument("url", metavar="URL", help="Where it answers HTTP.")
    add_format(status)


def run(options: Options) -> int:
    """Run the command that was named; return the exit code."""
    options.command(options)
    return ACCEPTED


def _status(options: Options) -> None:
    from modelseal.servers import status

    found = status.ask(options.url)
    if options.output == "json":
        models = [model._asdict() for model in found.models]
        print_document("server status", ACCEPTED, server=found._asdict() | {"models": models})
        return
    _print(found)


def _print(found: ServerStatus) -> None:
    rows = [_TITLES, *(_row(model) for model in found.models)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES) - 1)]
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        colour = _COLOURS.get(row[3])
        if colour is not None:
            cells[3] = styled(cells[3], colour)
        answer("  ".join([*cells, row[4]]).rstrip())
    if not found.verifies:
        say(
            f"warning: {shown(found.name)} does not say that it verifies its models, "
            "so nobody knows the verdicts"
        )


def _row(model: ModelStatus) -> tuple[str, ...]:
    name, version = shown(model.name, _WIDEST), shown(model.version or "", _WIDEST)
    return (name, version, shown(model.state, _WIDEST), model.verdict, shown(model.reason, 2000))
