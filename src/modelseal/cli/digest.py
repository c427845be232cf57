# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal digest`."""

from __future__ import annotations

from pathlib import Path

import click

from modelseal.cli._run import byte_progress, format_option, print_json, reporting_errors
from modelseal.errors import shown


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@format_option
@reporting_errors
def command(path: Path, output: str) -> None:
    """Print the root digest of a model and the digest of each file, as a signature would list them.

    The root digest is a short name for the files in their order; it does not cover their names.

    \b
    Examples:
      modelseal digest model/
      modelseal digest model.joblib --format json
    """
    from modelseal.files import is_folder
    from modelseal.model import manifest

    with byte_progress("Hashing") as progress:
        if is_folder(path):
            found = manifest.of_folder(path, progress=progress)
        else:
            found = manifest.of_file(path, progress)
    root = found.root().hex()
    if output == "json":
        files = [{"name": r.name, "sha256": r.digest.hex()} for r in found.resources]
        print_json({"model": str(path), "root": f"sha256:{root}", "files": files})
        return
    click.echo(f"sha256:{root}")
    for resource in found.resources:
        click.echo(f"  {resource.digest.hex()}  {shown(resource.name)}")
