# SPDX-License-Identifier: Apache-2.0
"""Reads a log over HTTP as C2SP tlog-tiles describes; nothing here is believed."""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats import merkle, tiles
from modelseal.formats.merkle import HASH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHECKPOINT_LIMIT = 1 << 20
_BUNDLE_LIMIT = tiles.WIDTH * (tiles.MAX_ENTRY + 2)
_SECONDS = 30
_GONE = 404
_LEVELS = 8  # of the tree, in a tile


class LogClient:
    """A log below `url`, which has `checkpoint` and `tile/`."""

    def __init__(self, url: str) -> None:
        """Take an http(s) URL.

        Raises:
            UsageError: it is none.
        """
        try:
            parts = urlsplit(url)
            good = parts.scheme in {"http", "https"} and parts.hostname and url.isprintable()
        except ValueError:
            good = False
        if not good:
            raise UsageError("bad-url", f"{shown(url)!r} is not an http or https URL.")
        self.url = url.rstrip("/")
        self._opener = build_opener(_NoRedirect)

    def checkpoint(self) -> str:
        """Return the newest signed checkpoint.

        Raises:
            Undecided: it cannot be had.
        """
        body = self._get("checkpoint", _CHECKPOINT_LIMIT)
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise self._bad("a checkpoint that is no text") from error

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the entries from `start` to before `end`, in a log that has them.

        Raises:
            Undecided: they cannot be had.
        """
        for number in range(start // tiles.WIDTH, -(-end // tiles.WIDTH)):
            first = number * tiles.WIDTH
            body = self._tile(tiles.Tile(None, number, min(tiles.WIDTH, end - first)))
            try:
                bundle = tiles.parse_entries(body)
            except FormatError as error:
                raise self._bad("a bundle of entries that cannot be read") from error
            wanted = bundle[max(start - first, 0) : end - first]
            if len(wanted) != min(end, first + tiles.WIDTH) - max(start, first):
                raise self._bad("fewer entries than it has")
            yield from wanted

    def node(self, level: int, position: int, size: int) -> bytes:
        """Return the hash of the subtree at `position` of `level` in the tree of `size` leaves.

        Raises:
            Undecided: it cannot be had.
        """
        in_tile = level % _LEVELS
        first = position << in_tile
        height = level - in_tile
        number = first // tiles.WIDTH
        width = min(tiles.WIDTH, (size >> height) - number * tiles.WIDTH)
        body = self._tile(tiles.Tile(height // _LEVELS, number, width))
        at = (first % tiles.WIDTH) * HASH_SIZE
        found = body[at : at + (HASH_SIZE << in_tile)]
        if len(found) != HASH_SIZE << in_tile:
            raise self._bad("a tile that is cut short")
        hashes = [found[i : i + HASH_SIZE] for i in range(0, len(found), HASH_SIZE)]
        while len(hashes) > 1:
            pairs = zip(hashes[::2], hashes[1::2], strict=True)
            hashes = [merkle.node_hash(left, right) for left, right in pairs]
        return hashes[0]

    def _tile(self, tile: tiles.Tile) -> bytes:
        try:
            return self._get(tiles.format_path(tile), _BUNDLE_LIMIT)
        except _Missing:
            if tile.width == tiles.WIDTH:
                raise
        # Logs may drop a partial tile when the full one is there.
        return self._get(tiles.format_path(tiles.Tile(tile.level, tile.index)), _BUNDLE_LIMIT)

    def _get(self, path: str, limit: int) -> bytes:
        request = Request(f"{self.url}/{path}")  # noqa: S310 - the scheme was checked
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                body: bytes = answer.read(limit + 1)
        except HTTPError as error:
            kind = _Missing if error.code == _GONE else Undecided
            raise kind(
                "log-unreachable", f"The log at {shown(self.url)} answers {error.code} to {path}.",
                "Check the URL; the monitor goes on from where it was.",
            ) from error  # fmt: skip
        except (OSError, HTTPException) as error:
            raise Undecided(
                "log-unreachable",
                f"The log at {shown(self.url)} does not answer: {shown(str(error))}.",
                "Check the URL and the network; the monitor goes on from where it was.",
            ) from error
        if len(body) > limit:
            raise self._bad(f"more than {limit} bytes for {path}")
        return body

    def _bad(self, what: str) -> Undecided:
        return Undecided(
            "log-unreadable", f"The log at {shown(self.url)} gave {what}.",
            "Check that the URL is that of a tile-based log.",
        )  # fmt: skip


class _Missing(Undecided):
    """The log has no such file."""


class _NoRedirect(HTTPRedirectHandler):
    """A log is read where the operator said."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None
