# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from modelseal.errors import FormatError
from modelseal.formats import merkle

# The tree that Certificate Transparency's own implementations are tested with.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243",
        "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.fixture
def nodes():
    known = {}
    for index, leaf in enumerate(LEAVES):
        for level, position, value in merkle.completed_by(
            index, merkle.leaf_hash(leaf), lambda *at: known[at]
        ):
            known[level, position] = value
    return lambda *at: known[at]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_tree(nodes, size):
    assert merkle.root(size, nodes).hex() == ROOTS[size]


def test_inclusion_proof_of_the_reference_tree(nodes):
    assert [item.hex() for item in merkle.inclusion_proof(0, 8, nodes)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]


def test_consistency_proof_of_the_reference_tree(nodes):
    assert [item.hex() for item in merkle.consistency_proof(6, 8, nodes)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize(("index", "size"), [(0, 0), (8, 8), (-1, 8)])
def test_a_leaf_outside_the_tree_has_no_proof(nodes, index, size):
    with pytest.raises(FormatError):
        merkle.inclusion_proof(index, size, nodes)
    with pytest.raises(FormatError):
        merkle.root_from_inclusion(b"\0" * 32, index, size, [])


def test_a_tree_does_not_shrink(nodes):
    with pytest.raises(FormatError):
        merkle.consistency_proof(5, 4, nodes)
    assert not merkle.is_consistent(5, bytes.fromhex(ROOTS[5]), 4, bytes.fromhex(ROOTS[4]), [])


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: [*p, b"\0" * 32]])
def test_a_proof_of_another_length_is_refused(nodes, change):
    proof = change(merkle.inclusion_proof(2, 7, nodes))
    with pytest.raises(FormatError):
        merkle.root_from_inclusion(merkle.leaf_hash(LEAVES[2]), 2, 7, proof)


def test_a_short_hash_is_refused(nodes):
    with pytest.raises(FormatError):
        merkle.root_from_inclusion(merkle.leaf_hash(LEAVES[0]), 0, 2, [b"short"])
    with pytest.raises(FormatError):
        merkle.is_consistent(1, b"", 2, b"", [b"short"])


@pytest.mark.parametrize("new", range(9))
def test_everything_extends_the_empty_tree(new):
    root = bytes.fromhex(ROOTS[new])
    assert merkle.is_consistent(0, merkle.EMPTY_ROOT, new, root, [])
    assert not merkle.is_consistent(0, b"\0" * 32, new, root, [])
    assert not merkle.is_consistent(0, merkle.EMPTY_ROOT, new, root, [b"\0" * 32])
