# SPDX-License-Identifier: Apache-2.0
r"""Checkpoints (C2SP tlog-checkpoint): the text of the note with which a log commits to its tree.

<origin>\n
<tree size, decimal>\n
<root hash, base64>\n
[<extension line>\n ...]
"""

from __future__ import annotations

import re
from typing import NamedTuple

from modelseal.errors import FormatError
from modelseal.formats.merkle import HASH_SIZE
from modelseal.formats.strict import b64decode, b64encode

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")  # one spelling a number; fits in 63 bits
_FIXED_LINES = 3


class Checkpoint(NamedTuple):
    """`size` leaves of the log `origin` hash to `root`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """Return the note text of `checkpoint`; `parse_checkpoint` gives it back.

    Raises:
        FormatError: a value that the text cannot carry.
    """
    lines = (
        checkpoint.origin,
        str(checkpoint.size),
        b64encode(checkpoint.root),
        *checkpoint.extensions,
    )
    text = "".join(line + "\n" for line in lines)
    if parse_checkpoint(text) != checkpoint:
        raise _bad("has a line break in one of its lines")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in the note text `text`.

    Raises:
        FormatError: not exactly the form above.
    """
    if not text.endswith("\n"):
        raise _bad("does not end in a newline")
    lines = text[:-1].split("\n")
    if len(lines) < _FIXED_LINES or not all(lines):
        raise _bad("has an empty or missing line")
    origin, size, root, *extensions = lines
    if not _DECIMAL.fullmatch(size):
        raise _bad("has no tree size")
    root_hash = b64decode(root, what="checkpoint root hash")
    if len(root_hash) != HASH_SIZE:
        raise _bad("has a root hash that is not 32 bytes long")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def _bad(what: str) -> FormatError:
    return FormatError("bad-checkpoint", f"The checkpoint {what}.")
