# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.admission import store as place
from modelseal.errors import UsageError
from modelseal.formats.oms import Manifest, Resource

DIGESTS = st.binary(min_size=32, max_size=32)
RESOURCES = st.lists(st.builds(Resource, st.text(min_size=1, max_size=5), DIGESTS), max_size=4)


@given(RESOURCES, RESOURCES)
def test_two_manifests_never_share_a_snapshot(one, other):
    first, second = Manifest(tuple(one)), Manifest(tuple(other))
    assert (place.digest_of(first) == place.digest_of(second)) == (first == second)


def test_names_count_not_only_digests():
    digest = bytes(32)
    names = [Manifest((Resource(name, digest),)) for name in ("a", "b")]
    assert names[0].root() == names[1].root()
    assert place.digest_of(names[0]) != place.digest_of(names[1])


def test_a_store_of_somebody_else_is_not_used(tmp_path):
    """Mode 0700 alone says nothing: its owner can put snapshots there, and change ours."""
    if os.geteuid() == 0:
        store = tmp_path / "store"
        store.mkdir(mode=0o700)
        os.chown(store, 12345, -1)
    else:
        store = Path("/")  # which is root's, and which only root can write to
        assert not store.stat().st_mode & 0o022
    with pytest.raises(UsageError) as refused:
        place.prepare(store)
    assert refused.value.code == "store-not-private"
