# SPDX-License-Identifier: Apache-2.0
"""DER with something wrong in it, of which the rest still fits: lengths follow what is changed.

Bytes changed at random hardly ever get past the first length. Here a tree is changed, so that what
comes out reaches the code that reads dates, names and extensions.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

_BIT_STRING, _OCTET_STRING = 3, 4
_TAGS = (1, 2, 3, 4, 5, 6, 12, 19, 22, 23, 24, 48, 49, 128, 129, 130, 134, 160, 161, 162, 163)
_VALUES = (
    b"", b"\0", b"\xff", b"\x80" * 9, b"\xff" * 200, b"\0" * 200, b"\x7f" + b"\xff" * 600,
    b"00000101000000Z", b"99991231235959Z", b"500101000000Z",
)  # fmt: skip


@dataclass
class Node:
    """A value: `inner` when it holds others, also inside a string."""

    tag: int
    content: bytes
    inner: list[Node] | None = None

    def dump(self) -> bytes:
        content = self.content
        if self.inner is not None:
            lead = b"\0" if self.tag == _BIT_STRING else b""
            content = lead + b"".join(node.dump() for node in self.inner)
        return bytes([self.tag]) + _length(len(content)) + content


def mutated(der: bytes, chance: random.Random) -> bytes:
    """Return `der` with one to three of its values changed, doubled, moved or taken away."""
    top = _parsed(der)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(top))
        if places:
            _change(places, chance)
    return b"".join(node.dump() for node in top)


def _change(places: list[tuple[list[Node], int]], chance: random.Random) -> None:
    holder, at = chance.choice(places)
    node = holder[at]
    match chance.randrange(8):
        case 0:
            del holder[at]
        case 1:
            holder.insert(at, copy.deepcopy(node))
        case 2:
            node.tag = chance.choice(_TAGS)
        case 3:
            other, index = chance.choice(places)
            holder[at] = copy.deepcopy(other[index])
        case 4:
            node.inner, node.content = None, chance.choice(_VALUES)
        case 5:
            node.inner, node.content = None, node.content[: chance.randrange(len(node.content) + 1)]
        case 6 if node.content:
            raw = bytearray(node.content)
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
            node.inner, node.content = None, bytes(raw)
        case _:
            node.inner, node.content = None, node.content * chance.choice((2, 20))


def _places(nodes: list[Node]) -> Iterator[tuple[list[Node], int]]:
    for at, node in enumerate(nodes):
        yield nodes, at
        yield from _places(node.inner or [])


def _parsed(data: bytes) -> list[Node]:
    found = []
    while data:
        if len(data) < 2:
            raise ValueError
        tag, size, start = data[0], data[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[2:start])
        content, rest = data[start : start + size], data[start + size :]
        if len(content) != size:
            raise ValueError
        found.append(Node(tag, content, _inner(tag, content)))
        data = rest
    return found


def _inner(tag: int, content: bytes) -> list[Node] | None:
    """Return what is inside: always of constructed values, of strings if it is DER."""
    try:
        if tag & 0x20 or (tag == _OCTET_STRING and content):
            return _parsed(content)
        if tag == _BIT_STRING and content[:1] == b"\0":
            return _parsed(content[1:])
    except ValueError:
        pass
    return None


def _length(count: int) -> bytes:
    if count < 0x80:
        return bytes([count])
    raw = count.to_bytes((count.bit_length() + 7) // 8)
    return bytes([0x80 | len(raw)]) + raw
