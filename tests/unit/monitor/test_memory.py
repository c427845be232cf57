# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from modelseal.errors import UsageError
from modelseal.monitor import memory
from modelseal.monitor.edge import Edge

KEPT = memory.Memory(
    "log.test", Edge(3, (bytes(32), b"\x01" * 32)), "signed\n", datetime(2026, 1, 2, tzinfo=UTC)
)


def test_what_is_saved_is_loaded(tmp_path):
    path = tmp_path / "state.json"
    assert memory.load(path) is None
    memory.save(path, KEPT)
    assert memory.load(path) == KEPT


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"size": 4}, {"size": -1}, {"edge": ["00"] * 2}, {"edge": [1, 2]},
        {"edge": "x"}, {"grown": "yesterday"}, {"origin": None}, {"checkpoint": 1},
    ],
)  # fmt: skip
def test_what_is_no_state_is_refused_and_kept(tmp_path, change):
    path = tmp_path / "state.json"
    memory.save(path, KEPT)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    before = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        memory.load(path)
    assert caught.value.code == "monitor-state"
    assert path.read_bytes() == before


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_json_is_refused(tmp_path, data):
    (tmp_path / "state.json").write_bytes(data)
    with pytest.raises(UsageError):
        memory.load(tmp_path / "state.json")
