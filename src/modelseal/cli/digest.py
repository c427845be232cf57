# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal digest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import JOBS, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_jobs, add_serialization, reading_of
from modelseal.cli._progress import byte_progress
from modelseal.cli._run import ACCEPTED, answer, print_document
from modelseal.errors import shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser

HELP = """\
Print the root digest of a model and the digest of each file, as a signature would list them.

The root digest is a short name for the files in their order; it does not cover their names. As
JSON the answer can be signed elsewhere (`modelseal sign --manifest`) and compared (`modelseal
diff`).

Examples:
  modelseal digest model/
  modelseal digest model/ --hash-type blake3 --shard-size 1000000000
  modelseal digest model.joblib --format json
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument("path", type=Path, metavar="PATH", help="A model: a file or a folder.")
    add_serialization(parser)
    add_jobs(parser)
    add_format(parser)
    add_defaults(parser, JOBS)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    apply_defaults(options, JOBS)
    path: Path = options.path
    from modelseal.files import is_folder
    from modelseal.formats import oms
    from modelseal.model import listing, manifest, names, scope

    how = oms.serialization(
        options.hash_type, shard_size=options.shard_size, allow_symlinks=options.allow_symlinks
    )
    with byte_progress("Hashing", [path]) as progress:
        scope.check_ignored((path,), options.ignored)
        if is_folder(path):
            to_sign = scope.to_sign(path, options.ignored, follow_links=how.allow_symlinks)
            contents = manifest.of_folder(path, to_sign, how, reading_of(options, progress))
        else:
            contents = manifest.of_file(path, how, reading_of(options, progress))
    if options.output == "json":
        print_document("digest", ACCEPTED, model=names.text(path), **listing.to_dict(contents))
        return ACCEPTED
    found = contents.manifest
    answer(f"sha256:{found.root().hex()}")
    label = "" if how.hash_type == "sha256" else f"{how.hash_type}:"
    for resource in found.resources:
        answer(f"  {label}{resource.digest.hex()}  {shown(resource.name)}")
    return ACCEPTED
