# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal publishers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, print_document

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser
    from modelseal.trust.publishers import Publisher

HELP = """\
Show which publishers of signed models are known. None is trusted unless it is named.

Examples:
  modelseal publishers list
  modelseal publishers show nvidia-skills
  modelseal verify skill/ --publisher nvidia-skills --ignore-unsigned '*'
"""


def add_options(parser: Parser) -> None:
    """Say which commands there are."""
    commands = parser.commands()
    add_format(commands.add_parser("list", description="List the known publishers."))
    show = commands.add_parser("show", description="Show all that is known of a publisher.")
    show.add_argument("name", metavar="NAME", help="The publisher.")
    add_format(show)


def run(options: Options) -> int:
    """Print; return the exit code."""
    from modelseal.trust import publishers

    listing = options.called.endswith("list")
    found = list(publishers.known().values()) if listing else [publishers.named(options.name)]
    if options.output == "json":
        print_document(options.called, ACCEPTED, publishers=[_to_dict(one) for one in found])
        return ACCEPTED
    for one in found:
        if listing:
            answer(f"{one.name:22}{one.title}, by {one.method}, checked {one.checked}")
        else:
            _show(one)
    return ACCEPTED


def _to_dict(one: Publisher) -> dict[str, object]:
    found = {**one._asdict(), "bundles": list(one.bundles), "checked": one.checked.isoformat()}
    return {name: value for name, value in found.items() if value}


def _show(one: Publisher) -> None:
    for name, value in _to_dict(one).items():
        if name != "root":
            text = ", ".join(value) if isinstance(value, list) else value
            answer(f"{name:13}{text}")
    if one.root:
        answer(one.root.strip())
