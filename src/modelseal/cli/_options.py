# SPDX-License-Identifier: Apache-2.0
"""Options: how they are parsed and explained, and those that several commands have."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modelseal.errors import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2  # exit code, of argparse too
_COLUMNS = 80

Options = argparse.Namespace


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of 80 columns; to ask the terminal for its own is work at every start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_COLUMNS)


class Parser(argparse.ArgumentParser):
    """A parser that shows `description` as it is written and takes no abbreviations."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    def commands(self) -> argparse._SubParsersAction[Parser]:
        """Return where to add commands of this command."""
        return self.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def parse(self, arguments: Sequence[str]) -> Options:
        """Return the options in `arguments`, which may stand between the paths.

        argparse takes the first paths in a row and leaves the rest; its own answer to that,
        parse_intermixed_args, first writes the whole help.

        Raises:
            SystemExit: help was asked for, or they are wrong.
        """
        options, rest = self.parse_known_args(arguments)
        wrong = [one for one in rest if one.startswith("-") or not hasattr(options, "paths")]
        if wrong:
            self.error(f"unrecognized arguments: {shown(' '.join(wrong))}")
        if rest:
            options.paths += map(Path, rest)
        return options

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


def add_serialization(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add how files become resources: `hash_type`, `shard_size`, `allow_symlinks`, `ignored`."""
    add = parser.add_argument
    add(
        "--hash-type", choices=("sha256", "blake2b", "blake3"), default="sha256",
        help="The hash of an OpenSSF model signature. [default: sha256]",
    )  # fmt: skip
    add("--shard-size", type=int, metavar="BYTES", help="By shards of this size, not by files.")
    add("--allow-symlinks", action="store_true", help="Follow links that stay in the model.")
    add(
        "--ignore-path", dest="ignored", action="append", default=[], type=_path, metavar="PATH",
        help="Leave this path of the model out; may be repeated. Whoever verifies is told.",
    )  # fmt: skip


def _path(value: str) -> Path:
    if not value:  # which Path would take for the working directory
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(value)
