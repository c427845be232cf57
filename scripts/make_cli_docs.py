# SPDX-License-Identifier: Apache-2.0
"""Write the help of every command into docs/cli.md, below what is said by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelseal.cli import COMMANDS, command_parser, top_parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

MARK = "<!-- Below: the help of each command, written by scripts/make_cli_docs.py -->\n"


def page() -> str:
    """Return the text of docs/cli.md."""
    by_hand = PAGE.read_text().partition(MARK)[0]
    sections = [_section(top_parser()), *(_sections(command_parser(name)) for name in COMMANDS)]
    return by_hand + MARK + "".join(sections)


def _sections(parser: argparse.ArgumentParser) -> str:
    inner = [
        command
        for action in parser._actions  # noqa: SLF001 - argparse has no public way to list them
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - as above
        for command in action.choices.values()
    ]
    return _section(parser) + "".join(_section(command) for command in inner)


def _section(parser: argparse.ArgumentParser) -> str:
    return f"\n## {parser.prog}\n\n```text\n{parser.format_help().rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
