# SPDX-License-Identifier: Apache-2.0
"""Known holes of servers: what in a command would load models, or run code, that nobody admitted.

`holes.toml` has them, each with its source. It can never be complete, `--confine` holds what it
misses; but whoever opens a hole by name should do so knowingly.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from fnmatch import fnmatchcase
from importlib.resources import files
from itertools import pairwise
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from modelseal.errors import PolicyRefused, UsageError, shown
from modelseal.policy.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_OFF = {"", "0", "false", "no", "off"}


class Server(NamedTuple):
    """How the command of a server is recognised; without programs and modules every one is."""

    title: str
    programs: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


class Hole(NamedTuple):
    """A row of the table; `holes.toml` says what each field means."""

    name: str
    server: str
    does: str
    instead: str
    source: str
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    shortest: str = ""
    always: bool = False
    code_in_model: bool = False


class Table(NamedTuple):
    """All servers by name, and all holes in their order."""

    servers: Mapping[str, Server]
    holes: tuple[Hole, ...]


class Opened(NamedTuple):
    """A hole that a command opens, and what in it does: an option, a variable, its absence."""

    hole: Hole
    by: str


def table() -> Table:
    """Return the table of this release."""
    text = files("modelseal.servers").joinpath("holes.toml").read_text()
    document = tomllib.loads(text)
    servers = {name: Server(**_frozen(row)) for name, row in document["server"].items()}
    return Table(servers, tuple(Hole(**_frozen(row)) for row in document["hole"]))


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def opened(
    command: Sequence[str], variables: Mapping[str, str], known: Table | None = None
) -> tuple[Opened, ...]:
    """Return the holes that `command` opens in the environment `variables`."""
    known = known or table()
    words = list(_words(command))
    seen = _Command(words, {**variables, **_assignments(words)})
    found = []
    for hole in known.holes:
        if seen.is_of(known.servers[hole.server]):
            by = seen.opening(hole)
            if by:
                found.append(Opened(hole, by))
    return tuple(found)


def check(
    command: Sequence[str], variables: Mapping[str, str], allowed: Sequence[str]
) -> tuple[Opened, ...]:
    """Return the holes that `command` opens, all of them `allowed` by the policy.

    Raises:
        PolicyRefused: it opens one that is not ("known-hole").
        UsageError: the policy allows one that there is not ("unknown-hole").
    """
    known = table()
    _check_names(allowed, known)
    found = opened(command, variables, known)
    refused = [one for one in found if one.hole.name not in allowed]
    if refused:
        title = known.servers[refused[0].hole.server].title
        raise PolicyRefused(_verdict(shown(command[0]), title, refused))
    return found


def _check_names(allowed: Sequence[str], known: Table) -> None:
    names = [hole.name for hole in known.holes]
    for name in allowed:
        if name not in names:
            from difflib import get_close_matches  # noqa: PLC0415 - only for this error

            near = get_close_matches(name, names, 1)
            message = f"The policy allows the hole '{shown(name)}', and there is none of that name."
            hint = f"Did you mean '{near[0]}'?" if near else "docs/servers.md lists them."
            raise UsageError("unknown-hole", message, hint)


def _verdict(program: str, title: str, refused: Sequence[Opened]) -> Verdict:
    message = " ".join(
        f"{one.by} opens a known hole of {title}: {one.hole.does}." for one in refused
    )
    names = ", ".join(f'"{one.hole.name}"' for one in refused)
    hint = (
        f"{refused[0].hole.instead} To allow it all the same, put allow_holes = [{names}] into "
        f"[exec] of the policy. See {refused[0].hole.source}"
    )
    checks = tuple(
        Check("hole", passed=False, detail=f"{one.hole.name}: {one.by}") for one in refused
    )
    return Verdict("refused", program, "known-hole", message, hint, checks=checks)


def _words(command: Sequence[str]) -> Iterator[str]:
    """Yield the words of the command, and those within one: `sh -c "vllm serve"`."""
    for word in command:
        yield word
        if any(map(str.isspace, word)):
            try:
                yield from shlex.split(word)
            except ValueError:  # no shell would read it either, but somebody else may
                yield from word.split()


def _assignments(words: Sequence[str]) -> dict[str, str]:
    """Return the variables that words set, as in `env NAME=VALUE vllm serve`."""
    pairs = (word.partition("=") for word in words if re.match(r"[A-Za-z_]\w*=", word))
    return {name: value for name, _, value in pairs}


class _Option(NamedTuple):
    """An option in a command: `--name=value`, or `--name` and the word behind it."""

    name: str
    value: str | None
    next: str

    def is_one_of(self, hole: Hole) -> bool:
        """Return whether this is an option of `hole`, perhaps abbreviated."""
        short = hole.shortest and self.name.startswith(hole.shortest)
        return any(
            self.name == one or (short and one.startswith(self.name)) for one in hole.options
        )


class _Command:
    """The words of a command and its environment, to be held against the rows of the table."""

    def __init__(self, words: Sequence[str], variables: Mapping[str, str]) -> None:
        self._words = words
        self._variables = variables
        self._options = list(_options(words))

    def is_of(self, server: Server) -> bool:
        """Return whether this runs `server`, also by way of another program."""
        if not (server.programs or server.first or server.modules):
            return True
        names = [PurePath(word).name for word in self._words]
        return (
            names[0] in server.first
            or any(name in server.programs for name in names)
            or any(f"{one}.".startswith(f"{m}.") for one in self._modules() for m in server.modules)
        )

    def _modules(self) -> Iterator[str]:
        """Yield what Python is told to run: `-m vllm.entrypoints.x`, `-mvllm`."""
        for word, following in pairwise([*self._words, ""]):
            if word == "-m":
                yield following
            elif word.startswith("-m"):
                yield word[2:]

    def opening(self, hole: Hole) -> str:
        """Return what opens `hole`, empty if nothing does."""
        for option in self._options:
            if option.is_one_of(hole):
                value = option.next if option.value is None and hole.values else option.value
                if value is None or _opens(value, hole.values):
                    return f"'{shown(option.name)}'"
        for name, value in self._variables.items():
            named = any(fnmatchcase(name, one) for one in hole.variables)
            if named and _opens(value, hole.values):
                return f"The variable {shown(name)}"
        for word in self._words:
            if any(re.search(one, word.replace("_", "-"), re.IGNORECASE) for one in hole.words):
                return f"'{shown(word)}'"
        if hole.missing and not self._has_one_of(hole.missing):
            return f"The command without '{hole.missing[0]}'"
        return "The command" if hole.always else ""

    def _has_one_of(self, wanted: Sequence[str]) -> bool:
        texts = {
            text
            for one in self._options
            for text in (one.name, f"{one.name}={one.next if one.value is None else one.value}")
        }
        return any(one in texts or self._variables.get(one) for one in wanted)


def _options(words: Sequence[str]) -> Iterator[_Option]:
    for word, following in pairwise([*words, ""]):
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            yield _Option(name.replace("_", "-"), value if equals else None, following)


def _opens(value: str, globs: Sequence[str]) -> bool:
    if globs:
        return any(fnmatchcase(value.lower(), one) for one in globs)
    return value.lower() not in _OFF
