# SPDX-License-Identifier: Apache-2.0
"""Verify a log of decisions: whether lines were changed, added or taken out, and which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from modelseal.admission import decision_log
from modelseal.errors import FormatError
from modelseal.files import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HEAD = ".head"


class Problem(NamedTuple):
    """What is wrong, and where: `line` counts from 1, 0 is the file as a whole."""

    file: Path
    line: int
    message: str


class Chain(NamedTuple):
    """What is in a log: the entries from `first` to `last`, and what is wrong with them.

    `digest` is that of the last entry: who keeps it elsewhere finds out whether the chain was made
    anew.
    """

    files: tuple[Path, ...]
    entries: int
    first: int | None
    last: int | None
    since: str | None
    until: str | None
    digest: str | None
    problems: tuple[Problem, ...]


class Line(NamedTuple):
    """A line of a log: `values` is None if it is no entry."""

    file: Path
    number: int
    text: bytes
    digest: str
    values: dict[str, Any] | None
    is_whole: bool


def verify(paths: Sequence[Path], *, noted: str | None = None) -> Chain:
    """Return whether the logs at `paths` are as they were written; of each also its older files.

    Files that continue each other are one chain. `noted` is the digest of an entry that must be
    there.

    Raises:
        UsageError, FormatError, Undecided: a file is missing, or cannot be read.
    """
    files = _files(paths)
    reader = _Reader()
    for line in (line for file in files for line in lines(file)):
        reader.take(line, noted)
    problems = [*reader.problems, *_problems_of_heads(files, reader)]
    if noted is not None and not reader.has_noted and files:
        message = f"The entry {noted} is not there: the chain was made anew, or cut off."
        problems.append(Problem(files[-1], 0, message))
    return Chain(
        tuple(files), reader.entries, reader.first, reader.last, reader.since, reader.until,
        reader.digest, tuple(problems),
    )  # fmt: skip


def lines(file: Path) -> Iterator[Line]:
    """Yield the lines of a file of a log.

    Raises:
        UsageError, FormatError, Undecided: it is missing, or cannot be read.
    """
    with translated(str(file)), file.open("rb") as stream:
        number = 0
        while data := stream.readline(decision_log.LINE_LIMIT + 2):
            number += 1
            text = data.removesuffix(b"\n")
            try:
                values = decision_log.parse(text)
            except FormatError:
                values = None
            digest = decision_log.digest_of(text)
            yield Line(file, number, text, digest, values, data.endswith(b"\n"))


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the files to read: each once, in the order of their first entries."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.name.endswith(_HEAD) and len(paths) > 1:
            continue  # of `FILE*`
        with translated(str(path)):
            path.stat()
            found |= dict.fromkeys(decision_log.files_of(path))
    return sorted(found, key=_start)


def _start(file: Path) -> tuple[int, str]:
    first = next(lines(file), None)
    values = first.values if first else None
    # What has no first entry comes last: it is empty, or its first line was changed.
    return (values["number"] if values else 2**63, str(file))


class _Reader:
    """Follows the chain from line to line."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.entries = 0
        self.first: int | None = None
        self.last: int | None = None
        self.since: str | None = None
        self.until: str | None = None
        self.digest: str | None = None
        self.has_noted = False
        self.digests: dict[int, str] = {}
        self._before: Line | None = None
        self._broken = False

    def take(self, line: Line, noted: str | None) -> None:
        """Look at the next line."""
        self.has_noted |= line.digest == noted
        if line.values is None:
            what = "is no entry of a log" if line.is_whole else "was not written to its end"
            self._problem(line, f"The line {what}.")
            self._broken = True
            return
        if self.last is not None:
            self._compare(line, line.values)
        self._broken = False
        self.entries += 1
        self.last = line.values["number"]
        self.digest = line.digest
        self.digests[self.last] = line.digest
        self.until = str(line.values.get("time"))
        if self.first is None:
            self.first, self.since = self.last, self.until
            if self.first == 1 and line.values["previous"]:
                self._problem(line, "The first entry names one before it.")
        self._before = line

    def _compare(self, line: Line, values: dict[str, Any]) -> None:
        number = values["number"]
        expected = (self.last or 0) + 1
        if number > expected and not self._broken:
            lost = f"Entry {expected} is" if number == expected + 1 else (
                f"The entries {expected} to {number - 1} are"
            )  # fmt: skip
            self._problem(line, f"{lost} missing before this line.")
        elif number < expected:
            self._problem(line, f"Entry {number} is out of order: {expected} was to follow.")
        elif number == expected and values["previous"] != self.digest and self._before:
            where = self._before
            self.problems.append(
                Problem(
                    where.file,
                    where.number,
                    f"Entry {self.last} was changed: the next one was written after another.",
                )
            )

    def _problem(self, line: Line, message: str) -> None:
        self.problems.append(Problem(line.file, line.number, message))


def _problems_of_heads(files: Sequence[Path], reader: _Reader) -> Iterator[Problem]:
    """Yield what does not fit what the logs say of their first and last entry."""
    for file in files:
        with translated(str(file)):
            head = decision_log.read_head(file)
        if head is None:
            continue
        first, last = reader.first or 0, reader.last or 0
        if first > head.first:
            missing = f"{head.first} to {first - 1}" if first > head.first + 1 else f"{head.first}"
            yield Problem(files[0], 1, f"Entries are missing before this line: {missing}.")
        if last < head.last:
            missing = f"{last + 1} to {head.last}" if head.last > last + 1 else f"{head.last}"
            yield Problem(file, 0, f"Entries are missing at the end: {missing}.")
        elif head.last in reader.digests and reader.digests[head.last] != head.digest:
            yield Problem(file, 0, f"Entry {head.last} was changed.")
