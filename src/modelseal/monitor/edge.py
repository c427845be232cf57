# SPDX-License-Identifier: Apache-2.0
"""The right edge of a Merkle tree (RFC 6962): enough to add leaves and to know the root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelseal.formats import merkle

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Edge:
    """A tree of `size` leaves; `hashes` are of its largest complete subtrees, from left to right.

    There is one for each bit that is set in `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def root(self) -> bytes:
        """Return the root hash."""
        if not self.hashes:
            return merkle.EMPTY_ROOT
        current = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            current = merkle.node_hash(left, current)
        return current


class Growing:
    """A tree to which leaves are added."""

    def __init__(self, edge: Edge) -> None:
        self._size, self._hashes = edge.size, list(edge.hashes)

    def add(self, body: bytes) -> None:
        """Add the leaf `body`."""
        current, size = merkle.leaf_hash(body), self._size
        while size & 1:
            current = merkle.node_hash(self._hashes.pop(), current)
            size >>= 1
        self._hashes.append(current)
        self._size += 1

    def edge(self) -> Edge:
        """Return the edge as it is now."""
        return Edge(self._size, tuple(self._hashes))


def read(size: int, node: Callable[[int, int], bytes]) -> Edge:
    """Return the edge of a tree of `size` leaves, whose complete subtrees `node` gives."""
    hashes = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            hashes.append(node(level, start >> level))
            start += 1 << level
    return Edge(size, tuple(hashes))
