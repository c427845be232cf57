# SPDX-License-Identifier: Apache-2.0
"""Git LFS pointers: small text files that stand for large ones until `git lfs pull` gets these.

Source: git-lfs, docs/spec.md, section "The Pointer". A checkout without Git LFS, or one that has
not got the large files yet, has pointers in place of the weights.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from modelseal.model.small_files import POINTER_LIMIT

if TYPE_CHECKING:
    from modelseal.model.tree import OpenFile

_VERSION = "https://git-lfs.github.com/spec/v1"
_POINTER = re.compile(
    rb"version https?://(git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n"
    rb"(ext-[0-9]-[^\n]+\n)*"
    rb"oid sha256:[0-9a-f]{64}\n"
    rb"size (0|[1-9][0-9]{0,18})\n?"
)


def is_pointer(file: OpenFile) -> bool:
    """Return whether the file is a pointer. Of other files hardly any is read to find that out."""
    if file.size >= POINTER_LIMIT:
        return False
    try:
        return is_pointer_text(os.pread(file.fd, POINTER_LIMIT, 0))
    except OSError:  # whoever reads it for its digest says what is wrong
        return False


def is_pointer_text(data: bytes) -> bool:
    """Return whether a file with these bytes is a pointer."""
    return _POINTER.fullmatch(data) is not None


def pointer_to(digest: bytes, size: int) -> bytes:
    """Return the pointer to a file of this SHA-256 and size, as Git LFS writes it."""
    return f"version {_VERSION}\noid sha256:{digest.hex()}\nsize {size}\n".encode()
