# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal digest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, answer, byte_progress, print_json
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Print the root digest of a model and the digest of each file, as a signature would list them.

The root digest is a short name for the files in their order; it does not cover their names.

Examples:
  modelseal digest model/
  modelseal digest model.joblib --format json
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument("path", type=Path, metavar="PATH", help="A model: a file or a folder.")
    add_format(parser)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    path: Path = options.path
    from modelseal.files import is_folder
    from modelseal.model import manifest

    with byte_progress("Hashing") as progress:
        if is_folder(path):
            found = manifest.of_folder(path, progress=progress)
        else:
            found = manifest.of_file(path, progress)
    root = found.root().hex()
    if options.output == "json":
        files = [{"name": r.name, "sha256": r.digest.hex()} for r in found.resources]
        print_json({"model": str(path), "root": f"sha256:{root}", "files": files})
        return ACCEPTED
    answer(f"sha256:{root}")
    for resource in found.resources:
        answer(f"  {resource.digest.hex()}  {shown(resource.name)}")
    return ACCEPTED
