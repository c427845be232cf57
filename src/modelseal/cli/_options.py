# SPDX-License-Identifier: Apache-2.0
"""Options: how they are parsed and explained, and those that several commands have."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2  # exit code, of argparse too

Options = argparse.Namespace


class Parser(argparse.ArgumentParser):
    """A parser that shows `description` as it is written and takes no abbreviations."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._has_commands = False

    def commands(self) -> argparse._SubParsersAction[Parser]:
        """Return where to add commands of this command."""
        self._has_commands = True
        return self.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def parse(self, arguments: Sequence[str]) -> Options:
        """Return the options in `arguments`, which may stand between the paths.

        Raises:
            SystemExit: help was asked for, or they are wrong.
        """
        if self._has_commands:
            return self.parse_args(arguments)
        return self.parse_intermixed_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in the form of every other refusal."""
        self.exit(USAGE, f"{self.format_usage()}error: {message}\nhint: {self.prog} --help\n")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`, as `options.output`."""
    parser.add_argument(
        "--format",
        dest="output",
        choices=("text", "json"),
        default="text",
        help="How to print the result; JSON goes to stdout on failure too. [default: text]",
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add `--overwrite`."""
    parser.add_argument("--overwrite", action="store_true", help="Replace what is there.")
