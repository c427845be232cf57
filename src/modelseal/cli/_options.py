# SPDX-License-Identifier: Apache-2.0
"""Options: how they are parsed and explained, and those that several commands have."""

from __future__ import annotations

import argparse
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from modelseal.arguments import empty
from modelseal.cli._run import answer
from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed import SupportsWrite

    from modelseal.model.digests import Reading
    from modelseal.model.hashing import Progress
    from modelseal.trust.choice import Trust

_COLUMNS = 80
_MESSAGE_LIMIT = 400  # characters of what argparse says

_OPTION = re.compile(r"-[^-\d\s]\S*\Z|--\S+\Z")  # not a number, and nothing with a space

Options = argparse.Namespace


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help of 80 columns; to ask the terminal for its own is work at every start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_COLUMNS)


class CallError(UsageError):
    """A wrong call of `command`, which is None if there is none of that name."""

    def __init__(self, error: UsageError, command: str | None) -> None:
        super().__init__(error.code, error.message, error.hint)
        self.command = command


class Parser(argparse.ArgumentParser):
    """A parser that shows `description` as it is written and takes no abbreviations."""

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(
            prog,
            description=description,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self._inner: argparse._SubParsersAction[Parser] | None = None
        self.command = prog.partition(" ")[2] or None  # such as "verify", "trust add"
        self.set_defaults(called=self.command)
        self.takes_command = False  # one of somebody else, as `options.words`
        self.add_argument(
            "-q", "--quiet", action="store_true", default=argparse.SUPPRESS,
            help="Print no progress, no notes, and nothing of what went well.",
        )  # fmt: skip

    def commands(self) -> argparse._SubParsersAction[Parser]:
        """Return where to add commands of this command."""
        self._inner = self.add_subparsers(title="commands", required=True, metavar="COMMAND")
        return self._inner

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help as an answer: argparse says nothing of one that cannot be written."""
        if file is None:
            answer(self.format_help(), end="")
        else:
            super().print_help(file)

    def parse(self, arguments: Sequence[str]) -> Options:
        """Return the options in `arguments`, which may stand between the paths.

        argparse takes the first paths in a row and leaves the rest; its own answer to that,
        parse_intermixed_args, first writes the whole help.

        Raises:
            UsageError: they are wrong. SystemExit: help was asked for.
        """
        words: Sequence[str] = ()
        if self.takes_command:
            arguments, words = self._split(arguments)
        without = _first_empty(arguments)
        if without is not None:
            raise CallError(empty(without), self.command)
        self.check_words(arguments)
        options, rest = self.parse_known_args(arguments, argparse.Namespace(words=words))
        for one in rest:
            if one.startswith("-") and one != "-":
                raise self._unknown(one)
            if not hasattr(options, "paths"):
                self.error(f"there is an argument too many, '{one}'")
        if rest:
            options.paths += map(self._path_type, rest)
        return options

    def _split(self, words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Return our own options, and the command behind them, which may have the same ones.

        It begins behind `--`, or with the first word that is neither an option nor its value.
        """
        is_value = False
        for index, word in enumerate(words):
            if word == "--" and not is_value:
                return words[:index], words[index + 1 :]
            if is_value or word.startswith("-"):
                action = self._option_string_actions.get(word)
                is_value = not is_value and action is not None and action.nargs is None
            elif word:
                return words[:index], words[index:]
        return words, ()

    def _path_type(self, word: str) -> Path | str:
        """Return a path among the arguments as those are that argparse found."""
        (kind,) = (one.type for one in self._actions if one.dest == "paths")
        return path_or_uri(word) if kind is path_or_uri else Path(word)

    def check_words(self, words: Sequence[str]) -> None:
        """Check that there are such commands and options, before argparse misses others.

        Raises:
            UsageError: there is none; the hint names the nearest.
        """
        for index, word in enumerate(words):
            if word == "--":
                return
            if _OPTION.match(word):
                name = word.partition("=")[0] if word.startswith("--") else word[:2]
                if name not in self._option_string_actions:
                    raise self._unknown(name)
            elif self._inner is not None:
                if word not in self._inner.choices:
                    raise unknown_command(self.command, word, self._inner.choices)
                self._inner.choices[word].check_words(words[index + 1 :])
                return

    def _unknown(self, option: str) -> CallError:
        message = f"'{self.prog}' has no option '{shown(option)}'."
        hint = _did_you_mean(option, self._option_string_actions) + f"See: {self.prog} --help"
        return CallError(UsageError("unknown-option", message, hint), self.command)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse finds wrong in the form of every other refusal.

        Raises:
            UsageError: always.
        """
        sentence = shown(message[:1].upper() + message[1:], _MESSAGE_LIMIT)
        error = UsageError("bad-usage", f"{sentence}.", f"See: {self.prog} --help")
        raise CallError(error, self.command)


def _first_empty(words: Sequence[str]) -> str | None:
    """Return what the first empty argument is for: `"$MODEL"` of an unset variable means nothing.

    None if there is none.
    """
    for before, word in pairwise(["", *words]):
        name, equals, value = word.partition("=")
        if not word:
            return before if before.startswith("-") else "an argument"
        if equals and not value and name.startswith("--"):
            return name
    return None


def unknown_command(command: str | None, name: str, known: Iterable[str]) -> CallError:
    """Return the refusal of `name`, which is not among the `known` commands of `command`."""
    prog = f"modelseal {command}" if command else "modelseal"
    message = f"'{prog}' has no command '{shown(name)}'."
    hint = _did_you_mean(name, known) + f"See: {prog} --help"
    return CallError(UsageError("unknown-command", message, hint), command)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1)
    return f"Did you mean '{near[0]}'? " if near else ""


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--format`, as `options.output`."""
    parser.add_argument(
        "--format",
        dest="output",
        choices=("text", "json"),
        default="text",
        help="How to print the result; JSON goes to stdout on failure too. [default: text]",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a trusted root, for `trust_of`."""
    root = parser.add_argument_group("what is believed (default: the public Sigstore instance)")
    root.add_argument("--trusted-root", metavar="FILE", help="This trusted root.")
    root.add_argument("--trust-config", metavar="FILE", help="The root in this trust config.")
    root.add_argument("--instance", metavar="URL", help="What this instance last published.")
    root.add_argument("--staging", action="store_true", help="The Sigstore staging instance.")
    root.add_argument(
        "--refresh", action="store_true", help="Ask the instance by TUF for its root of today."
    )


def trust_of(options: Options) -> Trust:
    """Return what the options of `add_trust`, or those of them that there are, ask to believe."""
    from modelseal.trust.choice import Trust

    given = vars(options)
    files = {
        name: Path(given[name])
        for name in ("trusted_root", "trust_config")
        if given.get(name) is not None
    }
    return Trust(
        **files, instance=given.get("instance"), staging=given.get("staging", False),
        refresh=given.get("refresh", False),
    )  # fmt: skip


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add `--jobs`, for `reading_of`."""
    parser.add_argument(
        "--jobs", metavar="N", help="Use at most N processors. [default: all of them]"
    )


def reading_of(options: Options, progress: Progress | None) -> Reading:
    """Return how files are to be read, as the option of `add_jobs` asks.

    Raises:
        UsageError: it is no number of processors ("bad-workers").
    """
    from modelseal.model.digests import Reading

    given: str | None = options.jobs
    number = int(given) if given and given.isascii() and given.isdigit() else 0
    reading = Reading(None if given is None else number, progress)
    reading.check()
    return reading


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


def path_or_uri(word: str) -> Path | str:
    """Return the path `word`, or the URI of a model elsewhere as it is."""
    if ":" not in word:
        return Path(word)
    from modelseal.sources.uri import is_uri

    return word if is_uri(word) else Path(word)


def _path(value: str) -> Path:
    if not value:  # which Path would take for the working directory
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(value)
