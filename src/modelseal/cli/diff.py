# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal diff`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelseal.cli._run import (
    ACCEPTED,
    REFUSED,
    byte_progress,
    format_option,
    print_json,
    reporting_errors,
)
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.formats.oms import Manifest
    from modelseal.model.hashing import Progress


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@format_option
@reporting_errors
def command(old: Path, new: Path, output: str) -> None:
    """Show which files of two models differ; of safetensors files, which tensors.

    Exit code: 0 the same, 1 different.

    \b
    Examples:
      modelseal diff model-1/ model-2/
      modelseal diff old.safetensors new.safetensors --format json
    """
    from modelseal.files import is_folder
    from modelseal.model import safetensors
    from modelseal.model.diff import compare

    with byte_progress("Hashing") as progress:
        # Two files are compared whatever they are called.
        name = None if is_folder(old) or is_folder(new) else new.name
        found = compare(_manifest(old, progress, name), _manifest(new, progress, name))
        tensors = {}
        for file in found.changed:
            if file.endswith(safetensors.SUFFIX):
                pair = (old, new) if name else (old / file, new / file)
                tensors[file] = safetensors.compare(*pair)
    if output == "json":
        inner = {
            file: {"added": d.added, "changed": d.changed, "missing": d.missing}
            for file, d in tensors.items()
        }
        print_json(
            {
                "same": not found, "added": found.added, "changed": found.changed,
                "missing": found.missing, "tensors": inner,
            }
        )  # fmt: skip
    for word, names in (
        ("added", found.added), ("changed", found.changed), ("missing", found.missing),
    ):  # fmt: skip
        for file in names if output == "text" else ():
            click.echo(f"{word:8} {shown(file)}")
            inside = tensors.get(file)
            if word == "changed" and inside is not None:
                click.echo(f"         tensors: {inside or 'the same'}")
    sys.exit(REFUSED if found else ACCEPTED)


def _manifest(path: Path, progress: Progress | None, name: str | None) -> Manifest:
    from modelseal.files import is_folder
    from modelseal.model import manifest

    if is_folder(path):
        return manifest.of_folder(path, progress=progress)
    found = manifest.of_file(path, progress)
    return (name and manifest.renamed(found, name)) or found
