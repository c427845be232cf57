# SPDX-License-Identifier: Apache-2.0
"""What every command shares: errors to exit codes, text or JSON, stdout and stderr."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TextIO

from modelseal.errors import ModelSealError, SignInNeeded, Undecided, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from modelseal.cli._options import Options

    Colour = Literal["green", "red", "yellow"]

# Exit codes; the last is that of a shell for a command that Ctrl-C ended.
ACCEPTED, REFUSED, USAGE, UNDECIDED, SIGN_IN, INTERRUPTED = 0, 1, 2, 3, 4, 130

# Of every JSON document (docs/schema/output-1.json); grows when a member goes or changes its
# meaning, not when one is added.
SCHEMA = 1

_COLOURS = {"green": "\033[1;32m", "red": "\033[1;31m", "yellow": "\033[1;33m"}  # bold
_PLAIN = "\033[0m"
_quiet = ContextVar("quiet", default=False)


class CannotAnswer(Exception):  # noqa: N818 - read aloud: "raise CannotAnswer"
    """Stdout cannot be written: its reader is gone, or its disk is full."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Call(NamedTuple):
    """A command that was called: its whole name, what runs it, and with what."""

    name: str
    run: Callable[[Options], int]
    options: Options


def exit_code(error: ModelSealError) -> int:
    """Return the exit code that `error` means."""
    if isinstance(error, SignInNeeded):
        return SIGN_IN
    if isinstance(error, UsageError):
        return USAGE
    return UNDECIDED if isinstance(error, Undecided) else REFUSED


def run(words: Sequence[str], parse: Callable[[Sequence[str]], Call]) -> int:
    """Run the command that `words` are parsed to and return its exit code.

    A ModelSealError is printed, never a traceback; with `--format json` on stdout, as JSON, also
    when it is the words that are wrong. An answer that could not be given, for a full disk behind
    stdout, is no answer: exit code 3, never 1.
    """
    with _streams():
        try:
            code = _answered(words, parse)
            flush()
        except CannotAnswer as error:
            _drop_stdout()
            if not isinstance(error.cause, BrokenPipeError):  # that reader has seen enough
                reason = error.cause.strerror or "input/output error"
                say(f"error: cannot write the answer to stdout: {reason}")
            return UNDECIDED
        except KeyboardInterrupt:
            say("interrupted")
            return INTERRUPTED
        return code


def _answered(words: Sequence[str], parse: Callable[[Sequence[str]], Call]) -> int:
    name = None
    as_json = _wants_json(words)
    try:
        try:
            call = parse(words)
        except SystemExit as ended:  # help or the version was printed
            return int(ended.code or 0)
        name = call.name
        _quiet.set(getattr(call.options, "quiet", False))
        return call.run(call.options)
    except ModelSealError as error:
        return _report(error, getattr(error, "command", name), as_json=as_json)
    except OSError as error:
        from modelseal.files import of_os_error

        return _report(of_os_error(error), name, as_json=as_json)
    except CannotAnswer:
        raise
    except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a decided no
        what = f"modelseal failed: {type(error).__name__}: {shown(str(error))}."
        defect = Undecided("internal", what, "This is a defect of modelseal; please report it.")
        return _report(defect, name, as_json=as_json)


def _wants_json(words: Sequence[str]) -> bool:
    """Return whether `--format json` is among `words`, which may be wrong otherwise."""
    words = list(takewhile(lambda word: word != "--", words))  # behind it they are not options
    return "--format=json" in words or ("--format", "json") in pairwise(words)


def _report(error: ModelSealError, command: str | None, *, as_json: bool) -> int:
    code = exit_code(error)
    if as_json:
        print_document(command, code, error=error_to_dict(error))
    else:
        say_error(error)
    return code


def error_to_dict(error: ModelSealError) -> dict[str, str]:
    """Return `error` as plain JSON values."""
    return {"code": error.code, "message": error.message, "hint": error.hint}


def say_error(error: ModelSealError) -> None:
    """Print `error` and its hint on stderr."""
    say(styled("error: ", "red", sys.stderr) + str(error))
    if error.hint:
        say(f"hint: {error.hint}")


@contextmanager
def _streams() -> Iterator[None]:
    """Give streams that print what the locale's encoding lacks as escapes.

    Python has None for one that was closed before it started, where print would take the other.
    """
    before, quiet = (sys.stdout, sys.stderr), _quiet.set(False)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - no file of anybody's
        sys.stdout, sys.stderr = (stream or nowhere for stream in before)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            _quiet.reset(quiet)


def _drop_stdout() -> None:
    """Send what is still in the buffer of stdout nowhere, or Python fails once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def styled(text: str, colour: Colour, stream: TextIO | None = None) -> str:
    """Return `text` in bold `colour` if `stream`, by default stdout, is a terminal.

    https://no-color.org
    """
    if os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"{_COLOURS[colour]}{text}{_PLAIN}"


def is_quiet() -> bool:
    """Return whether `--quiet` was given: nothing is printed of what went as it should."""
    return _quiet.get()


def say(text: str) -> None:
    """Print a warning or an error: on stderr, after what was answered so far."""
    with suppress(OSError):  # `flush` says so at the end
        sys.stdout.flush()
    with suppress(OSError):  # nobody reads it, which does not change the answer
        print(text, file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Print a note or a hint on stderr, unless `--quiet` was given."""
    if not is_quiet():
        say(text)


def answer(text: str, end: str = "\n") -> None:
    """Print a line of the answer, on stdout.

    Raises:
        CannotAnswer: it cannot be written.
    """
    try:
        print(text, end=end)
    except OSError as error:
        raise CannotAnswer(error) from error


def flush() -> None:
    """Have all of the answer written that was given so far.

    Raises:
        CannotAnswer: it cannot be written.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        raise CannotAnswer(error) from error


def print_document(command: str | None, code: int, **members: Any) -> None:  # noqa: ANN401 - JSON is any value
    """Print the JSON document with which `command` ends, and the exit code `code`.

    Raises:
        CannotAnswer: it cannot be written.
    """
    import json

    head = {"schema": SCHEMA, "command": command, "exit_code": code}
    answer(json.dumps(head | members, indent=2))
