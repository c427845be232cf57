# SPDX-License-Identifier: Apache-2.0
"""Merkle trees of transparency logs (RFC 6962 section 2.1).

A tree is seen through `Nodes`, a function from (level, index) to the hash of a *complete* subtree
of 2**level leaves. Every function here asks for O(log n) or O(log^2 n) of them, so that a log of a
million entries answers as fast as one of a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

from modelseal.errors import FormatError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

Nodes = Callable[[int, int], bytes]


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf; the prefix keeps leaves and nodes apart (second preimages)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def completed_by(index: int, leaf: bytes, nodes: Nodes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (level, index, hash) of every subtree that the leaf at `index` completes, itself first.

    `nodes` is asked only for subtrees that were complete before.
    """
    level, current = 0, leaf
    yield level, index, current
    while index % 2:
        current = node_hash(nodes(level, index - 1), current)
        level, index = level + 1, index // 2
        yield level, index, current


def root(size: int, nodes: Nodes) -> bytes:
    """Return the root hash of the first `size` leaves."""
    return _range_hash(0, size, nodes) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves (section 2.1.1)."""
    if not 0 <= index < size:
        raise FormatError("bad-proof-request", "The leaf is not in a tree of that size.")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, nodes))
            end = middle
        else:
            path.append(_range_hash(start, middle, nodes))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, nodes: Nodes) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is a prefix of that of `new` (section 2.1.2).

    Empty for `old` = 0 and `old` = `new`: there is nothing to prove.
    """
    if not 0 <= old <= new:
        raise FormatError("bad-proof-request", "A tree cannot shrink.")
    if old in {0, new}:
        return []
    proof: list[bytes] = []
    start, end = 0, new
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, nodes))
            end = middle
        else:
            proof.append(_range_hash(start, middle, nodes))
            start = middle
    if start:  # the verifier knows the old root already when its tree is one complete subtree
        proof.append(_range_hash(start, end, nodes))
    return proof[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that `proof` gives for leaf hash `leaf`; compare it with the signed one.

    Raises:
        FormatError: the proof cannot be of that leaf in a tree of that size.
    """
    if not 0 <= index < size:
        raise FormatError("bad-proof", "The inclusion proof is for a leaf outside its tree.")
    # RFC 9162 section 2.1.3.2
    position, last, current = index, size - 1, leaf
    for sibling in _hashes(proof):
        if last == 0:
            raise FormatError("bad-proof", "The inclusion proof is too long.")
        if position % 2 or position == last:
            current = node_hash(sibling, current)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            current = node_hash(current, sibling)
        position, last = position // 2, last // 2
    if last:
        raise FormatError("bad-proof", "The inclusion proof is too short.")
    return current


def is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Return whether `proof` shows that the old tree is a prefix of the new one.

    Raises:
        FormatError: the proof has a hash of another length.
    """
    path = list(_hashes(proof))
    if not 0 < old < new:
        trivial = old == new and old_root == new_root
        return not path and (trivial or (old == 0 < new and old_root == EMPTY_ROOT))
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    return bool(path) and _roots(old, new, path) == (old_root, new_root)


def _roots(old: int, new: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    """Return the two roots that a consistency path gives (RFC 9162 section 2.1.4.2)."""
    position, last = old - 1, new - 1
    while position % 2:
        position, last = position // 2, last // 2
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position % 2 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while position % 2 == 0 and position:
                position, last = position // 2, last // 2
        else:
            second = node_hash(second, sibling)
        position, last = position // 2, last // 2
    return (first, second) if last == 0 else None


def _split(count: int) -> int:
    """Return the largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _range_hash(start: int, end: int, nodes: Nodes) -> bytes:
    """Return the hash over leaves [start, end), `start` being aligned as RFC 6962 splits."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return nodes(level, start >> level)
    middle = start + _split(count)
    return node_hash(_range_hash(start, middle, nodes), _range_hash(middle, end, nodes))


def _hashes(proof: Sequence[bytes]) -> Iterator[bytes]:
    for item in proof:
        if len(item) != HASH_SIZE:
            raise FormatError("bad-proof", "A proof hash is not 32 bytes long.")
        yield item
