# SPDX-License-Identifier: Apache-2.0
"""What every command shares: errors to exit codes, text or JSON, progress by bytes."""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

from modelseal.errors import ModelSealError, SignInNeeded, Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelseal.cli._options import Options
    from modelseal.model.hashing import Progress

    Colour = Literal["green", "red", "yellow"]

ACCEPTED, REFUSED, USAGE, UNDECIDED, SIGN_IN = 0, 1, 2, 3, 4  # exit codes

_PATIENCE = 1.0  # seconds before progress is shown
_COLOURS = {"green": "\033[1;32m", "red": "\033[1;31m", "yellow": "\033[1;33m"}  # bold
_PLAIN = "\033[0m"


def exit_code(error: ModelSealError) -> int:
    """Return the exit code that `error` means."""
    if isinstance(error, SignInNeeded):
        return SIGN_IN
    if isinstance(error, UsageError):
        return USAGE
    return UNDECIDED if isinstance(error, Undecided) else REFUSED


def run(command: Callable[[Options], int], options: Options) -> int:
    """Run a command and return its exit code; print a ModelSealError, never a traceback.

    With `--format json` the error goes to stdout, as JSON. An answer that could not be given, for
    Ctrl-C or a full disk behind stdout, is no answer: exit code 3, never 1.
    """
    try:
        with _flushed():
            return _answered(command, options)
    except KeyboardInterrupt:
        say("interrupted")
    except OSError as error:  # of stdout: the reader went away, the disk is full
        if not isinstance(error, BrokenPipeError):
            say(f"error: cannot write the answer: {error.strerror}")
        # else Python fails once more when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNDECIDED


def _answered(command: Callable[[Options], int], options: Options) -> int:
    as_json = getattr(options, "output", "text") == "json"
    try:
        return command(options)
    except ModelSealError as error:
        return _report(error, as_json=as_json)
    except OSError:
        raise  # of stdout
    except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a decided no
        what = f"modelseal failed: {type(error).__name__}: {shown(str(error))}."
        defect = Undecided("internal", what, "This is a defect of modelseal; please report it.")
        return _report(defect, as_json=as_json)


def _report(error: ModelSealError, *, as_json: bool) -> int:
    if as_json:
        print_json({"code": error.code, "message": error.message, "hint": error.hint})
    else:
        say(styled("error: ", "red", sys.stderr) + str(error))
        if error.hint:
            say(f"hint: {error.hint}")
    return exit_code(error)


@contextmanager
def _flushed() -> Iterator[None]:
    """Print what the locale's encoding lacks as escapes, and have all of it out at the end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        sys.stdout.flush()


def styled(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """Return `text` in bold `colour` if `stream`, by default stdout, is a terminal.

    https://no-color.org
    """
    if os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"{_COLOURS[colour]}{text}{_PLAIN}"


def say(text: str) -> None:
    """Print a note, hint or error: on stderr, beside the answer."""
    print(text, file=sys.stderr)


def answer(text: str) -> None:
    """Print a line of the answer, on stdout."""
    print(text)


def print_json(value: object) -> None:
    """Print `value` as JSON on stdout."""
    import json

    answer(json.dumps(value, indent=2))


@contextmanager
def byte_progress(label: str) -> Iterator[Progress | None]:
    """Give a callback for bytes done; a line on stderr shows them once it takes over a second.

    Gives None when stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    started = time.monotonic()
    done = 0
    bar: Any = None

    def advance(count: int) -> None:
        nonlocal done, bar
        done += count
        if bar is None:
            if time.monotonic() - started < _PATIENCE:
                return
            bar = _bar(label)
        bar.update(bar.task_ids[0], completed=done)

    try:
        yield advance
    finally:
        if bar is not None:
            bar.stop()


def _bar(label: str) -> Any:  # noqa: ANN401 - rich is imported late
    from rich.console import Console
    from rich.progress import (
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (SpinnerColumn(), TextColumn(label), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(label, total=None)
    bar.start()
    return bar
