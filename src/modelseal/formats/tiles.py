# SPDX-License-Identifier: Apache-2.0
"""Tiles (C2SP tlog-tiles): a log as files that never change.

A tile holds up to 256 hashes of subtrees of 256**level leaves; an entry bundle up to 256 leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelseal.errors import FormatError

WIDTH = 256
MAX_ENTRY = 0xFFFF

_PATH = re.compile(r"tile/(entries|[0-7])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True)
class Tile:
    """Coordinates: `level` None for an entry bundle; `width` 256 when full."""

    level: int | None
    index: int
    width: int = WIDTH


def format_path(tile: Tile) -> str:
    """Return the path of `tile` below the log's URL, `tile/0/x001/234.p/5`."""
    level = "entries" if tile.level is None else str(tile.level)
    digits = f"{tile.index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if tile.width == WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{name}{partial}"


def parse_path(path: str) -> Tile:
    """Return the tile that `path` names.

    Raises:
        FormatError: no tile path, or one with another spelling than `format_path` gives.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise FormatError("bad-tile-path", "That is not the path of a tile.")
    level, name, width = match.groups()
    tile = Tile(
        None if level == "entries" else int(level),
        int(name.replace("x", "").replace("/", "")),
        WIDTH if width is None else int(width),
    )
    if format_path(tile) != path or (width is not None and tile.width >= WIDTH):
        raise FormatError("bad-tile-path", "That is not the path of a tile.")
    return tile


def available(tile: Tile, size: int) -> bool:
    """Return whether a log of `size` leaves has all that `tile` holds."""
    span: int = WIDTH ** (tile.level or 0)
    return (tile.index * WIDTH + tile.width) * span <= size


def format_entries(entries: list[bytes]) -> bytes:
    """Return the bundle of `entries`: each behind its length as two bytes, big-endian.

    Raises:
        FormatError: an entry over 65,535 bytes.
    """
    if any(len(entry) > MAX_ENTRY for entry in entries):
        raise FormatError("too-large", f"A log entry is larger than {MAX_ENTRY} bytes.")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_entries(data: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        FormatError: cut short, empty, or with more than 256 entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + length]
        if len(data) < at + 2 or len(entry) != length or len(entries) == WIDTH:
            raise FormatError("bad-entry-bundle", "The entry bundle is cut short or too long.")
        entries.append(entry)
        at += 2 + length
    if not entries:
        raise FormatError("bad-entry-bundle", "The entry bundle is empty.")
    return entries
