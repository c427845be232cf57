# SPDX-License-Identifier: Apache-2.0
"""Archives, which are hostile: only files come out of one, below the folder, within bounds.

Of a tar (also .gz, .bz2, .xz) or zip. Links, devices and names that lead elsewhere are refused,
permissions are not kept. An archive of one folder becomes that folder.
"""

from __future__ import annotations

import os
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from typing import TYPE_CHECKING

from modelseal import outputs
from modelseal.errors import FormatError, shown
from modelseal.model import names
from modelseal.sources.base import Object
from modelseal.sources.staging import checked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

_MOST_FILES = 100_000
_CHUNK = 1 << 20  # bytes
_RATIO, _ANYWAY = 100, 1 << 30  # unpacked to packed bytes, and bytes that are no bomb in any case
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ZIP_TYPES = {0, 4, 8}  # of files of Unix: unknown, a folder, a regular file
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError, ValueError,
)  # fmt: skip


def unpack(path: Path, into: Path) -> None:
    """Put the files in the archive `path` into the new folder `into`.

    Raises:
        FormatError: it is no archive ("not-an-archive"), damaged, has what is no file, a name that
            leads elsewhere, or far more bytes than its size.
        OSError: they cannot be written.
    """
    into.mkdir()
    left = max(path.stat().st_size * _RATIO, _ANYWAY)
    found: list[str] = []
    try:
        for name, file in _files(path):
            found.append(checked([Object(name, None)], 1)[0].name)
            if len(found) > _MOST_FILES:
                raise FormatError("too-many-files", f"The archive has over {_MOST_FILES:,} files.")
            left -= _write(file, into / names.to_disk(name), left)
    except _DAMAGED as error:
        raise _bad_archive(path, "is damaged, or of a kind that is not read") from error
    _strip(into, found)


def unpack_one(path: Path, target: Path) -> None:
    """Put the one file that is in the archive `path` into the new file `target`.

    Raises:
        FormatError: as `unpack`; there are several.
    """
    most = max(path.stat().st_size * _RATIO, _ANYWAY)
    done = False
    try:
        for _, file in _files(path):
            if done:
                raise _bad_archive(path, "has more than one file")
            _write(file, target, most)
            done = True
    except _DAMAGED as error:
        raise _bad_archive(path, "is damaged, or of a kind that is not read") from error
    if not done:
        raise _bad_archive(path, "has no file")


def _files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield each file by name, open until the next one."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            for entry in zipped.infolist():
                if entry.external_attr >> 28 not in _ZIP_TYPES:
                    raise _no_file(entry.filename)
                if not entry.is_dir():
                    with zipped.open(entry) as file:
                        yield entry.filename, file
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                inside = archive.extractfile(member) if member.isreg() else None
                if inside is not None:
                    yield member.name.removeprefix("./"), inside
                elif not member.isdir():
                    raise _no_file(member.name)
    else:
        raise _bad_archive(path, "is neither a tar nor a zip")


def _write(file: IO[bytes], target: Path, most: int) -> int:
    """Write a new file of at most `most` bytes; return how many it has."""
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    try:
        sink = os.open(target, _NEW, 0o666)
    except FileExistsError as error:
        message = f"The archive has '{shown(target.name)}' twice."
        raise FormatError("duplicate-name", message, "Do not use it.") from error
    with os.fdopen(sink, "wb") as out:
        while chunk := file.read(_CHUNK):
            done += len(chunk)
            if done > most:
                message = "The archive unpacks to far more than its size."
                raise FormatError("archive-bomb", message, "Do not use it.")
            out.write(chunk)
        out.flush()
        outputs.sync(out.fileno())
    return done


def _strip(folder: Path, found: list[str]) -> None:
    """Make `folder` of the one folder that all files `found` are in, if it is one."""
    tops = {name.partition("/")[0] for name in found}
    if len(tops) != 1 or any("/" not in name for name in found):
        return
    inner = folder / names.to_disk(tops.pop())
    moved = folder.with_name(f"{folder.name}.inner")
    inner.rename(moved)
    folder.rmdir()
    moved.rename(folder)


def _bad_archive(path: Path, why: str) -> FormatError:
    message = f"'{shown(path.name)}' {why}."
    return FormatError("not-an-archive", message, "Leave out --unpack, or check the file.")


def _no_file(name: str) -> FormatError:
    message = f"The archive has '{shown(name)}', which is a link or a device."
    return FormatError("special-file", message, "Have it packed with the files themselves.")
