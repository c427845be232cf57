# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, print_json, styled
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Show what a bundle says, or each one of a model. NOTHING IS CHECKED.

Examples:
  modelseal inspect model/
  modelseal inspect model.joblib.sigstore.json --format json
"""

_FILES_SHOWN = 20
_TITLES = {"log_entries": "log entry"}  # printed once an entry


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument("path", type=Path, metavar="PATH", help="A bundle, or a signed model.")
    add_format(parser)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    from modelseal.verification.inspect import inspect

    first, *others = inspect(options.path)
    if options.output == "json":
        print_json(first | ({"others": others} if others else {}))
        return ACCEPTED
    for said in (first, *others):
        _print_bundle(said)
    return ACCEPTED


def _print_bundle(said: dict[str, Any]) -> None:
    answer(styled("NOT CHECKED", "yellow") + f"  {shown(said['bundle'])}")
    for name, value in said.items():
        if name not in {"checked", "bundle", "manifest"}:
            _print(_TITLES.get(name, name.replace("_", " ")), value, indent=2)
    files = said["manifest"]["files"]
    answer(f"  manifest: {len(files)} file{'s' if len(files) != 1 else ''}")
    for file in files[:_FILES_SHOWN]:
        digest = file[said["manifest"].get("hash_type", "sha256")]
        answer(f"    {digest}  {shown(file['name'])}")
    if len(files) > _FILES_SHOWN:
        answer(f"    and {len(files) - _FILES_SHOWN} more")
    for name in said["manifest"]["ignored"]:
        answer(f"    not signed: {shown(name)}")


def _print(name: str, value: Any, indent: int) -> None:  # noqa: ANN401 - JSON is any value
    pad = " " * indent
    if value == {}:
        return
    if isinstance(value, dict):
        answer(f"{pad}{name}:")
        for inner, item in value.items():
            _print(inner.replace("_", " "), item, indent + 2)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            _print(name, item, indent)
    elif isinstance(value, list):
        answer(f"{pad}{name}: {', '.join(shown(str(item)) for item in value) or 'none'}")
    else:
        answer(f"{pad}{name}: {'none' if value is None else shown(str(value))}")
