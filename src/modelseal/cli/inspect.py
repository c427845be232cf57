# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from modelseal.cli._run import format_option, print_json, reporting_errors
from modelseal.errors import shown

_FILES_SHOWN = 20
_TITLES = {"log_entries": "log entry"}  # printed once an entry


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_option
@reporting_errors
def command(path: Path, output: str) -> None:
    """Show what a bundle says, or each one of a model. NOTHING IS CHECKED.

    \b
    Examples:
      modelseal inspect model/
      modelseal inspect model.joblib.sigstore.json --format json
    """
    from modelseal.seal.inspect import inspect

    first, *others = inspect(path)
    if output == "json":
        print_json(first | ({"others": others} if others else {}))
        return
    for said in (first, *others):
        _print_bundle(said)


def _print_bundle(said: dict[str, Any]) -> None:
    click.echo(click.style("NOT CHECKED", fg="yellow", bold=True) + f"  {shown(said['bundle'])}")
    for name, value in said.items():
        if name not in {"checked", "bundle", "manifest"}:
            _print(_TITLES.get(name, name.replace("_", " ")), value, indent=2)
    files = said["manifest"]["files"]
    click.echo(f"  manifest: {len(files)} file{'s' if len(files) != 1 else ''}")
    for file in files[:_FILES_SHOWN]:
        digest = file[said["manifest"].get("hash_type", "sha256")]
        click.echo(f"    {digest}  {shown(file['name'])}")
    if len(files) > _FILES_SHOWN:
        click.echo(f"    and {len(files) - _FILES_SHOWN} more")
    for name in said["manifest"]["ignored"]:
        click.echo(f"    not signed: {shown(name)}")


def _print(name: str, value: Any, indent: int) -> None:  # noqa: ANN401 - JSON is any value
    pad = " " * indent
    if value == {}:
        return
    if isinstance(value, dict):
        click.echo(f"{pad}{name}:")
        for inner, item in value.items():
            _print(inner.replace("_", " "), item, indent + 2)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            _print(name, item, indent)
    elif isinstance(value, list):
        click.echo(f"{pad}{name}: {', '.join(shown(str(item)) for item in value) or 'none'}")
    else:
        click.echo(f"{pad}{name}: {'none' if value is None else shown(str(value))}")
