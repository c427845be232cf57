# SPDX-License-Identifier: Apache-2.0
"""Which arrays of two .npz files, or what of two .npy files, differ. Nothing is unpickled.

Source: NumPy, numpy/lib/format.py (NEP 1): magic, version, length of the header, the header, the
data; an .npz file is a zip archive of .npy files. Headers are compared as they are, never
evaluated, and an array of objects, which is a pickle, is bytes like any other.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown
from modelseal.model import parts
from modelseal.model.hashing import BUFFER

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.diff import ManifestDiff
    from modelseal.model.parts import Part
    from modelseal.model.tree import OpenFile

DIRECTORY_LIMIT = 8 * 1024 * 1024  # bytes, for some 100,000 members
_UNPACKED_LEAST = 1024**3  # bytes that any file may unpack to
_UNPACKED_TIMES = 100  # times its size that a large one may
_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 64 * 1024  # bytes; numpy.load believes 10,000 of a stranger
_LENGTHS = {1: 2, 2: 4, 3: 4}  # version -> bytes of the header's length
_ENCRYPTED = 1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # which are all that NumPy writes

# What zipfile lets through for archives that are none; tests have one archive for each.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,  # a member that is not deflated
    ValueError,  # a name that is not UTF-8
    EOFError,  # a member that goes on after the end
    NotImplementedError,  # a patched member, or one of a later version
)


def compare(old: Path, new: Path) -> ManifestDiff:
    """Return by the member's name which arrays changed, were added, are missing.

    Raises:
        FormatError: one is no zip archive of arrays, or unpacks to far too much ("bad-npz").
        UsageError, Undecided: missing, unreadable, changed meanwhile.
    """
    return parts.compare(old, new, read_archive)


def compare_arrays(old: Path, new: Path) -> ManifestDiff:
    """Return which of "header" (type, shape and order) and "data" of two .npy files differ.

    Raises:
        FormatError: one is no .npy file ("bad-npz"). UsageError, Undecided: as above.
    """
    return parts.compare(old, new, read_array)


def read_array(file: OpenFile) -> dict[str, Part]:
    """Return header and data of one .npy file.

    Raises:
        FormatError: it is none. Undecided: it changed meanwhile.
    """
    begin = parts.exactly(file, 0, min(file.size, len(_MAGIC) + 2 + 4))
    version = begin[len(_MAGIC)] if len(begin) > len(_MAGIC) else 0
    if not begin.startswith(_MAGIC) or version not in _LENGTHS:
        raise _bad("does not begin as one")
    start = len(_MAGIC) + 2 + _LENGTHS[version]
    length = int.from_bytes(begin[len(_MAGIC) + 2 : start], "little")
    if length > _HEADER_LIMIT or start + length > file.size:
        raise _bad("has a header that is longer than the file, or than any")
    header = parts.digest(file, b"header", 0, start + length)
    return {"header": header, "data": parts.digest(file, b"data", start + length, file.size)}


def read_archive(file: OpenFile) -> dict[str, Part]:
    """Return the members of the archive, unpacked, by name.

    Raises:
        FormatError: no such archive. Undecided: it changed meanwhile.
    """
    try:
        with zipfile.ZipFile(_Bounded(file)) as archive:
            members = archive.infolist()
            _check(members, file.size)
            return {member.filename: _member(archive, member) for member in members}
    except _BROKEN as error:
        raise _bad("is no whole zip archive") from error


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    """Check that reading all members is work in proportion to the file, and each has one name."""
    if len({member.filename for member in members}) != len(members):
        raise _bad("has a member twice")
    for member in members:
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _METHODS:
            raise _bad("has members that NumPy does not write")
    if sum(member.compress_size for member in members) > size:
        raise _bad("has members that overlap")
    if sum(member.file_size for member in members) > max(_UNPACKED_LEAST, _UNPACKED_TIMES * size):
        raise _bad(f"unpacks to more than {_UNPACKED_TIMES} times its size")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Part:
    """Return the unpacked bytes as a part; zipfile reads no more of them than were promised."""
    hasher, size = hashlib.sha256(), 0
    with archive.open(member) as unpacked:
        while data := unpacked.read(BUFFER):
            hasher.update(data)
            size += len(data)
    if size != member.file_size:
        raise _bad("has a member of another size than it says")
    return parts.Part(hasher.digest(), size)


class _Bounded(io.RawIOBase):
    """The open file, for zipfile, which reads a directory of any size at once."""

    def __init__(self, file: OpenFile) -> None:
        self._file = file
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise _bad("points before its start")
        self._at = start + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        left = max(self._file.size - self._at, 0)
        count = left if size < 0 else min(size, left)
        if count > DIRECTORY_LIMIT:
            raise _bad("has a directory that is too large")
        data = parts.exactly(self._file, self._at, count)
        self._at += count
        return data


def _bad(why: str) -> FormatError:
    return FormatError("bad-npz", f"The NumPy file {shown(why)}.")
