# SPDX-License-Identifier: Apache-2.0
"""Which tensors of two safetensors files differ.

Source: huggingface/safetensors, README, section "Format": eight bytes of length (little-endian), a
JSON header of that length, then the data of all tensors without a gap.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from modelseal.errors import FormatError, Undecided
from modelseal.files import translated
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.model import tree
from modelseal.model.diff import ManifestDiff
from modelseal.model.hashing import BUFFER

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.tree import OpenFile

SUFFIX = ".safetensors"
HEADER_LIMIT = 100_000_000  # bytes, as the format has it
_LENGTH = 8
_METADATA = "__metadata__"


def compare(old: Path, new: Path) -> ManifestDiff:
    """Return by name which tensors changed (type, shape or bytes), were added, are missing.

    Raises:
        FormatError: one is not a safetensors file ("bad-safetensors").
        UsageError, Undecided: missing, unreadable, changed meanwhile.
    """
    with tree.single(old) as file:
        before = _tensors(file)
    with tree.single(new) as file:
        after = _tensors(file)
    return ManifestDiff(
        changed=tuple(sorted(n for n in before.keys() & after.keys() if before[n] != after[n])),
        added=tuple(sorted(after.keys() - before.keys())),
        missing=tuple(sorted(before.keys() - after.keys())),
    )


def _tensors(file: OpenFile) -> dict[str, bytes]:
    """Return, for each tensor, a digest over its type, shape and bytes."""
    with translated(file.name):
        length = int.from_bytes(os.pread(file.fd, _LENGTH, 0), "little")
        if not 0 < length <= min(HEADER_LIMIT, file.size - _LENGTH):
            raise _bad("has a header that is longer than the file")
        raw = os.pread(file.fd, length, _LENGTH)
        header = as_kind(
            parse_json(raw, what="safetensors header", limit=HEADER_LIMIT),
            dict,
            what="safetensors header",
        )
        header.pop(_METADATA, None)
        places = {name: _place(name, entry) for name, entry in header.items()}
        _check_places(places, file.size - _LENGTH - length)
        start = _LENGTH + length
        return {
            name: _digest(file, header[name], start + begin, start + end)
            for name, (begin, end) in places.items()
        }


def _place(name: str, entry: object) -> tuple[int, int]:
    obj: dict[str, Any] = as_kind(entry, dict, what=f"tensor {name!r}")
    what = "tensor"
    member(obj, "dtype", str, what=what)
    member(obj, "shape", list, what=what)
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


def _digest(file: OpenFile, entry: dict[str, Any], start: int, end: int) -> bytes:
    hasher = hashlib.sha256(repr((entry["dtype"], entry["shape"])).encode() + b"\0")
    while start < end:
        data = os.pread(file.fd, min(BUFFER, end - start), start)
        if not data:
            raise Undecided("changed-while-reading", "The file became shorter while it was read.")
        hasher.update(data)
        start += len(data)
    return hasher.digest()


def _bad(why: str) -> FormatError:
    return FormatError("bad-safetensors", f"The safetensors file {why}.")
