# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

import modelseal
from modelseal.admission import store as place
from modelseal.errors import UsageError
from modelseal.files import read_bounded, write_atomic


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_is_no_path(tmp_path, name):
    path = tmp_path / name
    calls = (
        lambda: read_bounded(path, 10, "file"),
        lambda: write_atomic(path, b""),
        lambda: place.prepare(path),
        lambda: modelseal.verify(path, identity="a", issuer="b", trusted_root=path),
    )
    for call in calls:
        with pytest.raises(UsageError) as caught:
            call()
        assert caught.value.code == "not-found"


def test_writes_any_name_that_a_file_can_have(tmp_path):
    path = tmp_path / ("é" * 127)  # 254 bytes
    write_atomic(path, b"all", overwrite=False)
    assert path.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [path]
