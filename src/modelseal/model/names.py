# SPDX-License-Identifier: Apache-2.0
"""File names as a manifest has them and as the file system has them.

On disk a name is bytes, in a manifest it is UTF-8. Python reads the bytes in the encoding of the
locale, so under a Latin-1 locale the `str` of one is not the `str` of the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, shown

if TYPE_CHECKING:
    from pathlib import Path


def from_disk(name: str) -> str:
    """Return the name that a manifest has for the file that Python calls `name`.

    Raises:
        FormatError: its bytes are not UTF-8 ("name-not-utf8").
    """
    if name.isascii():
        return name
    try:
        return os.fsencode(name).decode()
    except UnicodeError as error:
        message = f"The name '{shown(name)}' is not UTF-8."
        raise FormatError("name-not-utf8", message, "Rename the file.") from error


def to_disk(name: str) -> str:
    """Return what Python calls the file whose name in a manifest is `name`."""
    return name if name.isascii() else os.fsdecode(name.encode())


def of_path(path: Path) -> str:
    """Return the relative `path` as a manifest has it.

    Raises:
        FormatError: as `from_disk`.
    """
    return from_disk(path.as_posix())


def text(path: Path | str) -> str:
    """Return `path` for people and for JSON, the same under every locale.

    Bytes that are not UTF-8 are escaped as Python does it, with surrogates.
    """
    return os.fsencode(path).decode(errors="surrogateescape")
