# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import merkle

LEAVES = [str(number).encode() for number in range(70)]


def naive_root(leaves):
    """The definition of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return merkle.EMPTY_ROOT
    if len(leaves) == 1:
        return merkle.leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return merkle.node_hash(naive_root(leaves[:split]), naive_root(leaves[split:]))


def build():
    known = {}
    for index, leaf in enumerate(LEAVES):
        known.update(
            ((level, position), value)
            for level, position, value in list(
                merkle.completed_by(index, merkle.leaf_hash(leaf), lambda *at: known[at])
            )
        )
    return lambda level, position: known[level, position]


NODES = build()
SIZES = st.integers(1, len(LEAVES))


@given(st.integers(0, len(LEAVES)))
def test_the_incremental_root_is_the_defined_one(size):
    assert merkle.root(size, NODES) == naive_root(LEAVES[:size])


@given(st.data())
def test_every_leaf_is_proven(data):
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, NODES)
    leaf = merkle.leaf_hash(LEAVES[index])
    assert merkle.root_from_inclusion(leaf, index, size, proof) == merkle.root(size, NODES)


@given(st.data())
def test_nothing_else_is_proven(data):
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, NODES)
    other = data.draw(st.integers(0, size - 1))
    leaf = merkle.leaf_hash(LEAVES[other])
    assume(other != index)
    for at, hashed in ((index, leaf), (other, merkle.leaf_hash(LEAVES[index]))):
        try:
            root = merkle.root_from_inclusion(hashed, at, size, proof)
        except FormatError:
            continue
        assert root != merkle.root(size, NODES)


@given(st.data())
def test_every_prefix_is_consistent(data):
    new = data.draw(SIZES)
    old = data.draw(st.integers(0, new))
    proof = merkle.consistency_proof(old, new, NODES)
    roots = merkle.root(old, NODES), merkle.root(new, NODES)
    assert merkle.is_consistent(old, roots[0], new, roots[1], proof)
    if old:
        assert not merkle.is_consistent(old, b"\0" * 32, new, roots[1], proof)
        assert not merkle.is_consistent(old, roots[0], new, b"\0" * 32, proof)


@given(st.data())
def test_a_changed_proof_is_not_consistent(data):
    new = data.draw(st.integers(2, len(LEAVES)))
    old = data.draw(st.integers(1, new - 1))
    proof = merkle.consistency_proof(old, new, NODES)
    at = data.draw(st.integers(0, len(proof) - 1))
    changed = [*proof]
    changed[at] = bytes([changed[at][0] ^ 1]) + changed[at][1:]
    roots = merkle.root(old, NODES), merkle.root(new, NODES)
    for bad in (changed, proof[:-1], [*proof, proof[0]]):
        assert not merkle.is_consistent(old, roots[0], new, roots[1], bad)
