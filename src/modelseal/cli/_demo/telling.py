# SPDX-License-Identifier: Apache-2.0
"""Steps, and how they are told: what a user would type, what happened, a table at the end."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

_INDENT = 2
_WIDTH = 75  # of a command, so that it can be copied from 80 columns
# A refusal is bad news, whole; that it was told is what the step says, in green. A model that is
# not loaded yet is unavailable too, so that the reason tells, not the state.
_GOOD = r"(?m)^(?:OK|SIGNED|200)\b|\bREADY\b"
_BAD = r"(?m)^(?:FAIL|UNDECIDED|4\d\d|5\d\d)\b.*$|(?<=\"reason\": )\"[^\"]+\""

S = TypeVar("S")


class NotAsTold(Exception):  # noqa: N818 - read aloud: "raise NotAsTold"
    """A step came out differently; says how."""


@dataclass(frozen=True)
class Step(Generic[S]):
    """One step: its title, a sentence about it, what is told to come out, and what does it.

    `run` returns in a few words what came out and raises NotAsTold if that is not as told.
    """

    title: str
    about: str
    told: str
    run: Callable[[S], str]
    slow: bool = False


def tell(steps: Sequence[Step[S]], stage: S, console: Console) -> bool:
    """Run the steps in order up to the first that is not as told; return whether all were."""
    outcomes: list[tuple[str, bool]] = []
    for number, step in enumerate(steps, 1):
        console.print()
        console.rule(Text(f"{number}. {step.title}", style="bold"), align="left")
        console.print(step.about, markup=False)
        try:
            outcomes.append((step.run(stage), True))
        except (NotAsTold, OSError, subprocess.TimeoutExpired) as error:
            outcomes.append((str(error).splitlines()[0], False))
            console.print(Text(f"NOT AS TOLD: {error}", style="bold red"))
            break
        console.print(Text(f"=> {outcomes[-1][0]}", style="green"))
    console.print()
    console.print(_table(steps, outcomes))
    return all(as_told for _, as_told in outcomes)


def _table(steps: Sequence[Step[S]], outcomes: list[tuple[str, bool]]) -> Table:
    table = Table(box=box.SIMPLE, title="The story, step by step", title_justify="left")
    table.add_column("", justify="right")
    for name in ("step", "told", "came out", ""):
        table.add_column(name, overflow="fold")
    for number, step in enumerate(steps, 1):
        came_out, as_told = outcomes[number - 1] if number <= len(outcomes) else ("not tried", None)
        style, word = {True: ("green", "yes"), False: ("bold red", "NO"), None: ("dim", "-")}[
            as_told
        ]
        table.add_row(str(number), step.title, step.told, Text(came_out), Text(word, style=style))
    return table


def show_command(console: Console, words: Sequence[str]) -> None:
    """Print a command as a user would type it, folded with backslashes to fit 80 columns."""
    lines = ["$"]
    for chunk in _chunks(words):
        if len(lines[-1]) + 1 + len(chunk) > _WIDTH:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {chunk}"
    _print(console, Text("\n".join(lines), style="bold cyan"))


def show_source(console: Console, source: str) -> None:
    """Print lines that a user would write: Python, a configuration file, the shell."""
    _print(console, Text(source.rstrip(), style="cyan"))


def show_output(console: Console, said: str) -> None:
    """Print what a command or a server said."""
    text = Text(said.rstrip())
    text.highlight_regex(_GOOD, style="green")
    text.highlight_regex(_BAD, style="red")
    if text:
        _print(console, text)


def _chunks(words: Sequence[str]) -> list[str]:
    """Return the quoted words, an option together with its value."""
    chunks: list[str] = []
    for word in words:
        if chunks and chunks[-1].startswith("-") and " " not in chunks[-1] and word[0] != "-":
            chunks[-1] += f" {shlex.quote(word)}"
        else:
            chunks.append(shlex.quote(word))
    return chunks


def _print(console: Console, text: Text) -> None:
    for line in text.wrap(console, console.width - _INDENT, overflow="fold"):
        line.rstrip()
        if line:
            line.pad_left(_INDENT)
        console.print(line)
