# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, REFUSED, answer, byte_progress, print_json
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser
    from modelseal.formats.oms import Manifest
    from modelseal.model.hashing import Progress

HELP = """\
Show which files of two models differ; of safetensors files, which tensors.

Exit code: 0 the same, 1 different.

Examples:
  modelseal diff model-1/ model-2/
  modelseal diff old.safetensors new.safetensors --format json
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument("old", type=Path, metavar="OLD", help="A model: a file or a folder.")
    parser.add_argument("new", type=Path, metavar="NEW", help="The model to compare it with.")
    add_format(parser)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    old: Path = options.old
    new: Path = options.new
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
    if options.output == "json":
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
        for file in names if options.output == "text" else ():
            answer(f"{word:8} {shown(file)}")
            inside = tensors.get(file)
            if word == "changed" and inside is not None:
                answer(f"         tensors: {inside or 'the same'}")
    return REFUSED if found else ACCEPTED


def _manifest(path: Path, progress: Progress | None, name: str | None) -> Manifest:
    from modelseal.files import is_folder
    from modelseal.model import manifest

    if is_folder(path):
        return manifest.of_folder(path, progress=progress)
    found = manifest.of_file(path, progress)
    return (name and manifest.renamed(found, name)) or found
