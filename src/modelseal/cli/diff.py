# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal diff`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.cli._defaults import JOBS, add_defaults, apply_defaults
from modelseal.cli._options import add_format, add_jobs, reading_of
from modelseal.cli._progress import byte_progress
from modelseal.cli._run import ACCEPTED, REFUSED, answer, print_document, styled
from modelseal.errors import FormatError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.cli._options import Options, Parser
    from modelseal.cli._run import Colour
    from modelseal.model.diff import ManifestDiff, Sizes, Word

    Inside = ManifestDiff | FormatError | None

HELP = """\
Show which files of two models differ, and how large they are; of safetensors,
GGUF and NumPy files (.npz, .npy) also which tensors and metadata.

In place of a model a bundle, or what `modelseal digest --format json` printed,
stands for the files that it lists. It is believed unchecked: `modelseal verify`
says who signed it.

Exit code: 0 the same, 1 different.

Examples:
  modelseal diff model-1/ model-2/
  modelseal diff old.safetensors new.safetensors --format json
  modelseal diff model/model.sig model/
"""

_TENSORS = 10  # of each kind shown of one file
_COLOURS: dict[Word, Colour] = {"changed": "yellow", "added": "green", "missing": "red"}


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    parser.add_argument("old", type=Path, metavar="OLD", help="A model: a file or a folder.")
    parser.add_argument("new", type=Path, metavar="NEW", help="The model to compare it with.")
    add_jobs(parser)
    add_format(parser)
    add_defaults(parser, JOBS)


def run(options: Options) -> int:
    """Print what `HELP` says; return the exit code."""
    from modelseal.cli._sides import compared
    from modelseal.model.diff import LISTED

    apply_defaults(options, JOBS)
    old: Path = options.old
    new: Path = options.new
    as_json = options.output == "json"
    with byte_progress("Hashing", [old, new]) as progress:
        found, models = compared(old, new, reading_of(options, progress))
        # What a text has no place for need not be read.
        names = found.changed if as_json else found.changed[:LISTED]
        inside = {name: _inside(name, old, new) for name in names} if models else {}
    code = REFUSED if found else ACCEPTED
    if as_json:
        tensors = {name: _to_dict(one) for name, one in inside.items() if one is not None}
        print_document("diff", code, same=not found, **found.to_dict(), tensors=tensors)
    else:
        _print(found, inside)
    return code


def _inside(name: str, old: Path, new: Path) -> Inside:
    """Return what differs in the file `name`, or why nobody can tell: one odd file is no answer."""
    from modelseal.files import is_folder
    from modelseal.model import inside, names

    try:
        if is_folder(old):
            path = names.to_disk(name)
            return inside.compare(name, old / path, new / path)
        return inside.compare(name, old, new)
    except FormatError as error:
        return error


def _to_dict(inside: ManifestDiff | FormatError) -> dict[str, Any]:
    if isinstance(inside, FormatError):
        return {"code": inside.code, "message": inside.message, "hint": inside.hint}
    return inside.to_dict()


def _print(found: ManifestDiff, inside: dict[str, Inside]) -> None:
    from modelseal.model.diff import LISTED, Sizes

    if not found:
        answer("no difference")
    for line, one in _lines(found, LISTED):
        answer(line)
        if isinstance(one, Sizes):
            if one.name in {*found.pointers, *found.signed_pointers}:
                which = "NEW" if one.name in found.pointers else "OLD"
                answer(f"  a Git LFS pointer in {which}; git lfs pull gets the content")
            else:
                _print_inside(inside.get(one.name))


def _print_inside(inside: Inside) -> None:
    if inside is None:
        return
    if isinstance(inside, FormatError):
        answer(f"  not compared by tensor: {inside}")
    elif not inside:
        answer("  the same tensors, stored in another way")
    else:
        for line, _ in _lines(inside, _TENSORS):
            answer(f"  {line}")


def _lines(found: ManifestDiff, most: int) -> Iterator[tuple[str, Sizes | int]]:
    """Yield a line for each entry of the listing: what, sizes, and last the name, of any length."""
    listing = list(found.listing(most))
    width = max((len(str(one)) for _, one in listing if not isinstance(one, int)), default=0)
    for word, one in listing:
        if isinstance(one, int):
            yield f"{styled(f'{word:8}', _COLOURS[word])} and {one:,} more (--format json)", one
        else:
            size = f"{one!s:{width}}  " if width else ""
            yield f"{styled(f'{word:8}', _COLOURS[word])} {size}{shown(one.name)}", one
