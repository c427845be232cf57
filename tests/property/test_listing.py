# SPDX-License-Identifier: Apache-2.0
"""What digest prints is what sign reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import oms
from modelseal.model import listing
from modelseal.model.manifest import Contents

PARTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
NAMES = st.lists(PARTS.filter(lambda p: p not in {".", ".."} and len(p.encode()) < 250), min_size=1,
                 max_size=3).map("/".join)  # fmt: skip


@st.composite
def manifests(draw):
    """Return a manifest by files or shards, and the sizes of its files."""
    hash_type = draw(st.sampled_from(sorted(oms.HASHES)))
    shard = draw(st.none() | st.integers(1, 2**40))
    how = oms.serialization(hash_type, shard_size=shard, allow_symlinks=draw(st.booleans()))
    files = draw(st.dictionaries(NAMES, st.integers(1, 9), min_size=1, max_size=6))
    width = oms.HASHES[hash_type]
    resources = []
    for name, parts in files.items():
        if shard is None:
            resources.append(oms.Resource(name, draw(st.binary(min_size=width, max_size=width))))
        for n in range(parts if shard else 0):
            part = oms.shard_name(name, n * shard, (n + 1) * shard - (n == parts - 1 and shard > 1))
            resources.append(oms.Resource(part, bytes([n]) * width))
    assume(len({r.name for r in resources}) == len(resources))
    ignored = tuple(draw(st.sets(NAMES, max_size=3)))
    known = draw(st.booleans()) and shard is None
    sizes = {name: draw(st.integers(0, 2**63)) for name in files} if known else {}
    return Contents(oms.manifest(resources, ignored, how), sizes)


@given(manifests())
def test_what_is_printed_is_read_back(made):
    printed = json.dumps({"model": "m", **listing.to_dict(made)}).encode()
    assert listing.parse(printed) == made


@given(manifests(), st.data())
def test_a_digest_that_was_changed_is_refused(made, data):
    printed = listing.to_dict(made)
    how = made.manifest.serialization
    item = data.draw(st.sampled_from(printed[how.method]))
    item[how.hash_type] = f"{int(item[how.hash_type][0], 16) ^ 1:x}" + item[how.hash_type][1:]
    with pytest.raises(FormatError, match="root-mismatch"):
        listing.parse(json.dumps(printed).encode())


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["files", "shards", "name", "sha256", "size", "root",
                                       "serialization", "method", "hash_type"]), inner, max_size=4),
))  # fmt: skip
def test_any_json_is_read_or_refused(value):
    try:
        found = listing.parse(json.dumps(value).encode())
    except FormatError as error:
        assert error.code  # noqa: PT017 - either is right
    else:
        assert found.manifest.resources


HEX = "00" * 32


@pytest.mark.parametrize(
    "item",
    [
        {"name": "../a", "sha256": HEX}, {"name": "a", "sha256": HEX.upper() + "AA"},
        {"name": "a", "sha256": "ab"}, {"name": "a", "blake3": HEX}, {"sha256": HEX},
        {"name": "a", "sha256": HEX, "size": -1}, {"name": "a", "sha256": HEX, "size": "1"},
        {"name": "a", "sha256": HEX, "size": True}, {"name": "a\0", "sha256": HEX}, "a", None,
    ],
)  # fmt: skip
def test_files_that_are_none(item):
    with pytest.raises(FormatError):
        listing.parse(json.dumps({"files": [item]}).encode())


def test_a_list_of_earlier_versions_and_twice_the_same_name():
    one = {"name": "a", "sha256": HEX}
    assert listing.parse(json.dumps({"files": [one]}).encode()).manifest.resources
    with pytest.raises(FormatError, match="duplicate-name"):
        listing.parse(json.dumps({"files": [one, one]}).encode())


def test_ten_thousands_of_files():
    files = [{"name": f"{n}", "sha256": HEX, "size": n} for n in range(30_000)]
    assert len(listing.parse(json.dumps({"files": files}).encode()).sizes) == 30_000
