# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from built_log import Tree
from hypothesis import given
from hypothesis import strategies as st

from modelseal.formats import merkle
from modelseal.monitor import edge


@given(st.integers(0, 70), st.integers(0, 70))
def test_a_tree_that_grows_has_the_root_of_rfc_6962(first, more):
    tree = Tree(b"%d" % number for number in range(first + more))
    begun = edge.read(first, tree.node)
    assert begun.root() == tree.root(first)
    growing = edge.Growing(begun)
    for leaf in tree.leaves[first:]:
        growing.add(leaf)
    assert growing.edge() == edge.read(first + more, tree.node)
    assert growing.edge().root() == tree.root()


@pytest.mark.parametrize("size", [255, 256, 257, 65_536])
def test_an_edge_has_a_hash_for_each_bit(size):
    found = edge.read(size, lambda level, place: bytes([level]) * 32)
    assert len(found.hashes) == size.bit_count()


def test_an_empty_tree():
    assert edge.Edge().root() == merkle.EMPTY_ROOT
