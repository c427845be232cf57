# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.cli._run import ACCEPTED, answer

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Print a script that completes commands and options of modelseal when you press Tab.

Examples:
  source <(modelseal completion bash)        # in ~/.bashrc
  source <(modelseal completion zsh)         # in ~/.zshrc, after compinit
  modelseal completion fish > ~/.config/fish/completions/modelseal.fish
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish"), metavar="SHELL", help="bash, zsh or fish."
    )


def run(options: Options) -> int:
    """Print the script; return the exit code."""
    from modelseal.cli import _completion

    answer(_completion.SCRIPTS[options.shell](_completion.commands()))
    return ACCEPTED
