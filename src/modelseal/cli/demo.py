# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal demo`."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._run import ACCEPTED, REFUSED, answer
from modelseal.errors import Undecided, UsageError, shown
from modelseal.files import no_temporary_folder

if TYPE_CHECKING:
    from modelseal.cli._demo.children import Children
    from modelseal.cli._options import Options, Parser

HELP = """\
Tell the whole story: train, sign, verify, tamper, be refused.

Everything is real: a scikit-learn model, a private Sigstore, MLServer. Everything is on
loopback, and gone at the end unless --keep is given. Exit code 1 if a step did not come out
as told.

Examples:
  modelseal demo
  modelseal demo --keep story/
"""

_NEEDED = ("mlserver", "mlserver_sklearn", "sklearn", "starlette", "tuf")  # one of each extra's
_NEWEST_FOR_MLSERVER = (3, 12)


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="Write into this new or empty folder, and leave it there.",
    )
    parser.add_argument(
        "--fast", action="store_true", help="No worker process in MLServer, no stock client."
    )


def run(options: Options) -> int:
    """Tell the story; return the exit code."""
    keep: Path | None = options.keep
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageError(
            "extra-missing",
            f"The demo needs packages that are not installed: {', '.join(missing)}.",
            _how_to_install(missing, sys.version_info[:2]),
        )
    from modelseal.cli._demo.children import Children, Ending

    with ExitStack() as stack:
        ending = stack.enter_context(Ending())
        folder = _folder(keep, stack)
        children = stack.enter_context(Children(ending))
        as_told = _tell(folder, children, fast=options.fast)
    if keep is not None:
        answer(f"Everything that was written is in {shown(str(folder))}.")
    return ACCEPTED if as_told else REFUSED


def _how_to_install(missing: list[str], version: tuple[int, int]) -> str:
    how = "pip install 'modelseal[demo]'"
    if "mlserver" in missing and version > _NEWEST_FOR_MLSERVER:
        newest = ".".join(map(str, _NEWEST_FOR_MLSERVER))
        return f"MLServer needs Python {newest} or older. With that: {how}"
    return f"Install them with: {how}"


def _folder(keep: Path | None, stack: ExitStack) -> Path:
    if keep is None:
        try:
            temporary = tempfile.TemporaryDirectory(prefix="modelseal-demo-")
        except OSError as error:
            raise no_temporary_folder(error) from error
        return Path(stack.enter_context(temporary)).resolve()
    try:
        keep.mkdir(parents=True, exist_ok=True)
        empty = not any(keep.iterdir())
    except OSError as error:
        reason = shown(error.strerror or str(error))
        message = f"'{shown(str(keep))}' cannot be written: {reason}."
        raise Undecided("cannot-write", message, "Choose another folder with --keep.") from error
    if not empty:
        message = f"'{shown(str(keep))}' is not empty."
        raise UsageError("not-empty", message, "Choose a new folder.")
    return keep.resolve()


def _tell(folder: Path, children: Children, *, fast: bool) -> bool:
    from rich.console import Console

    from modelseal.cli._demo.stage import Stage
    from modelseal.cli._demo.story import STEPS
    from modelseal.cli._demo.telling import tell

    console = Console(highlight=False)
    console.print(f"All files are in {folder}", markup=False, soft_wrap=True)
    steps = [step for step in STEPS if not (fast and step.slow)]
    return tell(steps, Stage(folder, console, children, workers=0 if fast else 1), console)
