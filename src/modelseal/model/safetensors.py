# SPDX-License-Identifier: Apache-2.0
"""Which tensors of two safetensors files differ.

Source: huggingface/safetensors, README, section "Format": eight bytes of length (little-endian), a
JSON header of that length, then the data of all tensors without a gap.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from modelseal.errors import FormatError
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.model import parts

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.diff import ManifestDiff
    from modelseal.model.parts import Part
    from modelseal.model.tree import OpenFile

HEADER_LIMIT = 100_000_000  # bytes, as the format has it
_ITEMS = 1_000_000  # JSON values; a tensor has about six
_LENGTH = 8
_METADATA = "__metadata__"
_WHAT = "safetensors header"


def compare(old: Path, new: Path) -> ManifestDiff:
    """Return by name which tensors changed (type, shape or bytes), were added, are missing.

    Raises:
        FormatError: one is not a safetensors file ("bad-safetensors").
        UsageError, Undecided: missing, unreadable, changed meanwhile.
    """
    return parts.compare(old, new, read)


def read(file: OpenFile) -> dict[str, Part]:
    """Return the tensors and the metadata of the file.

    Raises:
        FormatError: not a safetensors file. Undecided: it changed meanwhile.
    """
    if file.size < _LENGTH:
        raise _bad("is shorter than its header")
    length = int.from_bytes(parts.exactly(file, 0, _LENGTH), "little")
    if not 0 < length <= min(HEADER_LIMIT, file.size - _LENGTH):
        raise _bad("has a header that is longer than the file")
    raw = parts.exactly(file, _LENGTH, length)
    header: dict[str, Any] = as_kind(
        parse_json(raw, what=_WHAT, limit=HEADER_LIMIT, items=_ITEMS), dict, what=_WHAT
    )
    metadata = as_kind(header.pop(_METADATA, {}), dict, what=_METADATA)
    start = _LENGTH + length
    places = {name: _place(entry) for name, entry in header.items()}
    _check_places(places, file.size - start)
    tensors = {
        name: parts.digest(file, _kind(header[name]), start + begin, start + end)
        for name, (begin, end) in places.items()
    }
    return parts.joined(tensors, {key: _text(value) for key, value in metadata.items()})


def _place(entry: object) -> tuple[int, int]:
    what = "tensor"
    obj: dict[str, Any] = as_kind(entry, dict, what=what)
    member(obj, "dtype", str, what=what)
    for size in member(obj, "shape", list, what=what):
        if as_kind(size, int, what="shape") < 0:
            raise _bad("has a tensor with a negative size")
    offsets = member(obj, "data_offsets", list, what=what)
    if len(offsets) != 2:  # noqa: PLR2004 - begin and end
        raise _bad("has a tensor without a place")
    begin, end = (as_kind(value, int, what="offset") for value in offsets)
    return begin, end


def _check_places(places: dict[str, tuple[int, int]], size: int) -> None:
    """Check that the tensors fill the data without a gap, so that no byte is left out."""
    expected = 0
    for begin, end in sorted(places.values()):
        if begin != expected or end < begin:
            raise _bad("has tensors that leave a gap or overlap")
        expected = end
    if expected != size:
        raise _bad("has bytes that belong to no tensor")


def _kind(entry: dict[str, Any]) -> bytes:
    return repr((entry["dtype"], entry["shape"])).encode("utf-8", "surrogatepass")


def _text(value: object) -> Part:
    raw = as_kind(value, str, what="metadata").encode("utf-8", "surrogatepass")
    return parts.Part(hashlib.sha256(raw).digest(), len(raw))


def _bad(why: str) -> FormatError:
    return FormatError("bad-safetensors", f"The safetensors file {why}.")
