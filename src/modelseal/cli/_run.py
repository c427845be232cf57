# SPDX-License-Identifier: Apache-2.0
"""What every command shares: errors to exit codes, text or JSON, progress by bytes."""

from __future__ import annotations

import functools
import io
import json
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

from modelseal.errors import ModelSealError, SignInNeeded, Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelseal.model.hashing import Progress

ACCEPTED, REFUSED, USAGE, UNDECIDED, SIGN_IN = 0, 1, 2, 3, 4  # exit codes

_PATIENCE = 1.0  # seconds before progress is shown

P = ParamSpec("P")
R = TypeVar("R")


def exit_code(error: ModelSealError) -> int:
    """Return the exit code that `error` means."""
    if isinstance(error, SignInNeeded):
        return SIGN_IN
    if isinstance(error, UsageError):
        return USAGE
    return UNDECIDED if isinstance(error, Undecided) else REFUSED


def reporting_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Make a command print a ModelSealError and exit with its code, never with a traceback.

    With `--format json` the error goes to stdout, as JSON. An answer that could not be given, for
    Ctrl-C or a full disk behind stdout, is no answer: exit code 3, never 1.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _flushed():
                return _answered(function, *args, **kwargs)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(UNDECIDED)
        except OSError as error:  # of stdout: the reader went away, the disk is full
            if not isinstance(error, BrokenPipeError):
                click.echo(f"error: cannot write the answer: {error.strerror}", err=True)
            # else Python fails once more when it flushes at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(UNDECIDED)

    return wrapped


def _answered(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return function(*args, **kwargs)
    except ModelSealError as error:
        _report(error, json_wanted=kwargs.get("output") == "json")
    except (OSError, click.ClickException, click.exceptions.Exit):
        raise  # of stdout, and click's own ways to end
    except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a decided no
        what = f"modelseal failed: {type(error).__name__}: {shown(str(error))}."
        defect = Undecided("internal", what, "This is a defect of modelseal; please report it.")
        _report(defect, json_wanted=kwargs.get("output") == "json")


def _report(error: ModelSealError, *, json_wanted: bool) -> NoReturn:
    if json_wanted:
        print_json({"code": error.code, "message": error.message, "hint": error.hint})
    else:
        print_error(error)
    sys.exit(exit_code(error))


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


def print_error(error: ModelSealError) -> None:
    """Print the sentence, the code and the hint on stderr."""
    click.echo(click.style("error: ", fg="red", bold=True) + str(error), err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def print_json(value: Any) -> None:  # noqa: ANN401 - JSON is any value
    """Print `value` as JSON on stdout."""
    click.echo(json.dumps(value, indent=2))


format_option = click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print the result; JSON goes to stdout on failure too.",
)

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is there.")


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
