# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, print_document, styled
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Show what a bundle says, or each one of a model. NOTHING IS CHECKED.

Examples:
  modelseal inspect model/
  modelseal inspect model.joblib
  modelseal inspect skill.oms.sig --format json
"""

_SHOWN = 20  # files and subjects
_TITLES = {"log_entries": "log entry"}  # printed once an entry
_APART = {"checked", "bundle", "manifest", "subjects", "verifies_until", "verifies_until_because"}


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument(
        "path", type=Path, metavar="PATH", help="A bundle, whatever its name, or a signed model."
    )
    add_format(parser)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    from modelseal.verification.inspect import inspect

    bundles = inspect(options.path)
    if options.output == "json":
        print_document("inspect", ACCEPTED, bundles=bundles)
        return ACCEPTED
    for bundle in bundles:
        _print_bundle(bundle)
    return ACCEPTED


def _print_bundle(bundle: dict[str, Any]) -> None:
    answer(styled("NOT CHECKED", "yellow") + f"  {shown(bundle['bundle'])}")
    if "error" in bundle:
        answer(f"  {bundle['error']['message']} [{bundle['error']['code']}]")
        return
    for name, value in bundle.items():
        if name not in _APART:
            _print(_TITLES.get(name, name.replace("_", " ")), value, indent=2)
    until = bundle["verifies_until"] or "no end"
    answer(f"  verifies until: {until} ({bundle['verifies_until_because']})")
    _print_subjects(bundle.get("subjects", []))
    _print_manifest(bundle["manifest"])


def _print_subjects(subjects: list[dict[str, str]]) -> None:
    for subject in subjects[:_SHOWN]:
        digests = (f"{name} {digest}" for name, digest in subject.items() if name != "name")
        answer(f"  about: {shown(subject['name'])}  {shown(', '.join(digests))}")
    if len(subjects) > _SHOWN:
        answer(f"  about: {len(subjects) - _SHOWN} more")


def _print_manifest(manifest: dict[str, Any]) -> None:
    if "error" in manifest:
        answer(f"  manifest: none. {manifest['error']}")
        return
    files = manifest["files"]
    answer(f"  manifest: {len(files)} file{'s' if len(files) != 1 else ''}")
    for file in files[:_SHOWN]:
        answer(f"    {file[manifest['hash_type']]}  {shown(file['name'])}")
    if len(files) > _SHOWN:
        answer(f"    and {len(files) - _SHOWN} more")
    for name in manifest["ignored"]:
        answer(f"    not signed: {shown(name)}")


def _print(name: str, value: Any, indent: int) -> None:  # noqa: ANN401 - JSON is any value
    pad = " " * indent
    if value == {} or (name == "chain" and not value):
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
