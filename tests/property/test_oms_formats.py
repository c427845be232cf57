# SPDX-License-Identifier: Apache-2.0
"""Manifests: what is written is read back, and what is no statement is refused in words."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import intoto, oms

PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=20
).filter(lambda part: part not in {".", ".."})
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@st.composite
def manifests(draw):
    hash_type = draw(st.sampled_from(sorted(oms.HASHES)))
    size = draw(st.none() | st.integers(1, 50))
    how = oms.serialization(hash_type, shard_size=size, allow_symlinks=draw(st.booleans()))
    digest = st.binary(min_size=oms.HASHES[hash_type], max_size=oms.HASHES[hash_type])
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    if size is not None:
        ends = {name: draw(st.integers(1, 200)) for name in names}
        names = [
            oms.shard_name(name, start, min(start + size, end))
            for name, end in ends.items()
            for start in range(0, end, size)
        ]
    ignored = tuple(draw(st.lists(NAMES, max_size=3)))
    return oms.manifest([oms.Resource(n, draw(digest)) for n in names], ignored, how)


@given(manifests())
def test_a_manifest_is_read_back(signed):
    payload = intoto.to_bytes(oms.to_statement(signed, "model"))
    assert oms.from_statement(intoto.parse(payload)) == signed


@given(NAMES, st.integers(0, 2**62), st.integers(0, 2**62))
def test_the_name_of_a_shard_is_read_back(name, start, end):
    assert oms.split_shard(oms.shard_name(name, start, end)) == (name, start, end)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["method", "hash_type", "shard_size", "name", "digest", "x"]), inner
    ),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["resources", "serialization"]), JSON))
def test_any_predicate_is_read_or_refused(predicate):
    subject = intoto.Subject("m", (("sha256", "00" * 32),))
    with suppress(FormatError):
        oms.from_statement(intoto.Statement((subject,), oms.PREDICATE_TYPE, predicate))
