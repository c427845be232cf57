# SPDX-License-Identifier: Apache-2.0
"""Which tensors and which metadata of two GGUF files differ.

Source: ggml-org/ggml, docs/gguf.md, versions 2 and 3, little-endian: magic, version, two counts;
the metadata, by key; name, dimensions, type and offset of each tensor; then the data of the
tensors, each padded to the alignment. Metadata is compared too: a chat template is among it.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.model import parts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from modelseal.model.diff import ManifestDiff
    from modelseal.model.parts import Part
    from modelseal.model.tree import OpenFile

HEAD_LIMIT = 64 * 1024 * 1024  # bytes before the data; vocabularies take some ten million
_MOST = 100_000  # tensors, and keys of metadata
_MAGIC = b"GGUF"
_VERSIONS = {2, 3}
_ALIGNMENT = "general.alignment"
_DEFAULT_ALIGNMENT = 32  # bytes
_LEAST_ALIGNMENT = 8
_MOST_ALIGNMENT = 1024 * 1024
_MOST_DIMENSIONS = 4  # GGML_MAX_DIMS
_MOST_NESTED = 4  # arrays in arrays, which nobody writes
_PIECE = 64 * 1024

# gguf_metadata_value_type -> bytes; a string and an array have a length of their own
_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_STRING_LEAST, _ARRAY_LEAST = 8, 12  # bytes that one takes at least

# ggml_type -> weights in a block, bytes of a block (ggml-common.h)
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18),
    21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8),
    28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66), 39: (32, 17),
    40: (64, 36), 41: (128, 18),
}  # fmt: skip


class _Tensor(NamedTuple):
    """What the head says of a tensor; `offset` is that in the data."""

    what: bytes
    offset: int
    size: int


def compare(old: Path, new: Path) -> ManifestDiff:
    """Return by name which tensors and metadata changed, were added, are missing.

    Raises:
        FormatError: one is not a GGUF file, or one with tensors of an unknown type ("bad-gguf").
        UsageError, Undecided: missing, unreadable, changed meanwhile.
    """
    return parts.compare(old, new, read)


def read(file: OpenFile) -> dict[str, Part]:
    """Return the tensors and the metadata of the file.

    Raises:
        FormatError: not a GGUF file. Undecided: it changed meanwhile.
    """
    head = _Head(file)
    if head.take(len(_MAGIC)) != _MAGIC or head.number(4) not in _VERSIONS:
        raise _bad("does not begin as one of version 2 or 3, little-endian")
    tensor_count, key_count = head.number(8), head.number(8)
    if max(tensor_count, key_count) > _MOST:
        raise _bad(f"has more than {_MOST} tensors or keys")
    metadata: dict[str, Part] = {}
    alignment = _DEFAULT_ALIGNMENT
    for _ in range(head.bounded(key_count, _STRING_LEAST + 4 + 1)):
        key = head.text()
        if key in metadata:
            raise _bad("has a key twice")
        metadata[key], alignment = _value(head, key, alignment)
    tensors: dict[str, _Tensor] = {}
    for _ in range(head.bounded(tensor_count, _STRING_LEAST + 4 + 4 + 8)):
        name = head.text()
        if name in tensors:
            raise _bad("has a tensor twice")
        tensors[name] = _tensor(head)
    start = _aligned(head.offset, alignment)
    _check_zeros(file, head.offset, min(start, file.size))
    _check_places(file, tensors.values(), start, alignment)
    found = {
        name: parts.digest(file, one.what, start + one.offset, start + one.offset + one.size)
        for name, one in tensors.items()
    }
    return parts.joined(found, metadata)


class _Head:
    """Reads the file from its start on; never past its end or the limit."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._end = min(file.size, HEAD_LIMIT)
        self._piece = b""
        self._at = 0  # in the piece
        self.offset = 0
        self._hasher = hashlib.sha256()

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        if count > self._end - self.offset:
            raise _bad("ends too early, or has a head that is too long")
        if count > len(self._piece) - self._at:
            size = max(count, min(_PIECE, self._end - self.offset))
            self._piece, self._at = parts.exactly(self._file, self.offset, size), 0
        data = self._piece[self._at : self._at + count]
        self._at += count
        self.offset += count
        self._hasher.update(data)
        return data

    def begin(self) -> int:
        """Forget what was read; return where the next byte is."""
        self._hasher = hashlib.sha256()
        return self.offset

    def part(self, begin: int) -> Part:
        """Return what was read since `begin` as a part."""
        return parts.Part(self._hasher.digest(), self.offset - begin)

    def number(self, width: int) -> int:
        """Return the next unsigned integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def text(self) -> str:
        """Return the next string."""
        try:
            return self.take(self.number(8)).decode()
        except UnicodeDecodeError as error:
            raise _bad("has a name that is not UTF-8") from error

    def bounded(self, count: int, least: int) -> int:
        """Return `count` if so many items of at least `least` bytes can follow."""
        if count * least > self._end - self.offset:
            raise _bad("promises more than it has")
        return count


def _value(head: _Head, key: str, alignment: int) -> tuple[Part, int]:
    """Return the value that follows as a part, and the alignment, which is the one that counts."""
    begin = head.begin()
    kind = head.number(4)
    if key == _ALIGNMENT:
        alignment = head.number(4) if kind == _UINT32 else 0
        if (
            not _LEAST_ALIGNMENT <= alignment <= _MOST_ALIGNMENT
            or alignment & (alignment - 1)  # no power of two
        ):
            raise _bad("has an alignment that makes no sense")
    else:
        _skip(head, kind, 1, 0)
    return head.part(begin), alignment


def _skip(head: _Head, kind: int, count: int, nested: int) -> None:
    """Read `count` values of this `kind`."""
    if kind in _WIDTHS:
        size = head.bounded(count, _WIDTHS[kind]) * _WIDTHS[kind]
        while size:
            size -= len(head.take(min(size, _PIECE)))
    elif kind == _STRING:
        for _ in range(head.bounded(count, _STRING_LEAST)):
            head.take(head.number(8))
    elif kind == _ARRAY and nested < _MOST_NESTED:
        for _ in range(head.bounded(count, _ARRAY_LEAST)):
            inner = head.number(4)
            _skip(head, inner, head.number(8), nested + 1)
    else:
        raise _bad("has metadata of an unknown type")


def _tensor(head: _Head) -> _Tensor:
    """Return what follows the name of a tensor."""
    count = head.number(4)
    if count > _MOST_DIMENSIONS:
        raise _bad("has a tensor of too many dimensions")
    shape = tuple(head.number(8) for _ in range(count))
    kind, offset = head.number(4), head.number(8)
    if kind not in _BLOCKS:
        raise _bad(f"has a tensor of type {kind}, which is not known")
    weights, size = _BLOCKS[kind]
    row = shape[0] if shape else 1
    if row % weights:
        raise _bad("has a tensor with part of a block")
    return _Tensor(repr((kind, shape)).encode(), offset, math.prod(shape) // weights * size)


def _check_places(file: OpenFile, tensors: Iterable[_Tensor], start: int, alignment: int) -> None:
    """Check that tensors and padding are all of the data, so that no byte is left out."""
    end = start
    for one in sorted(tensors, key=lambda one: (one.offset, one.size)):
        begin = start + one.offset
        if begin != _aligned(end, alignment) or begin + one.size > file.size:
            raise _bad("has tensors that leave a gap, overlap or go on after its end")
        _check_zeros(file, end, begin)
        end = begin + one.size
    if file.size > _aligned(end, alignment):
        raise _bad("has bytes that belong to no tensor")
    _check_zeros(file, end, file.size)


def _check_zeros(file: OpenFile, begin: int, end: int) -> None:
    if begin < end and any(parts.exactly(file, begin, end - begin)):
        raise _bad("has padding that is not empty")


def _aligned(offset: int, alignment: int) -> int:
    return offset + -offset % alignment


def _bad(why: str) -> FormatError:
    return FormatError("bad-gguf", f"The GGUF file {shown(why)}.")
