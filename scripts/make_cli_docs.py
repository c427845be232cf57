# SPDX-License-Identifier: Apache-2.0
"""Write the help of every command into docs/cli.md, below what is said by hand."""

from __future__ import annotations

from pathlib import Path

import click

from modelseal.cli import main

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"

MARK = "<!-- Below: the help of each command, written by scripts/make_cli_docs.py -->\n"


def page() -> str:
    """Return the text of docs/cli.md."""
    by_hand = PAGE.read_text().partition(MARK)[0]
    return by_hand + MARK + "".join(_section(main, "modelseal", None))


def _section(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    settings = {"terminal_width": 80, "max_content_width": 80, **command.context_settings}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    with context:
        text = command.get_help(context)
    parts = [f"\n## {context.command_path}\n\n```text\n{text.rstrip()}\n```\n"]
    if isinstance(command, click.Group):
        for inner_name in command.list_commands(context):
            inner = command.get_command(context, inner_name)
            parts += _section(inner, inner_name, context)
    return parts


if __name__ == "__main__":
    PAGE.write_text(page())
