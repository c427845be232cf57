# SPDX-License-Identifier: Apache-2.0
"""What is hashed is what is written, in one thread and in two."""

from __future__ import annotations

import hashlib
import os

import pytest

from modelseal.errors import Undecided
from modelseal.formats import oms
from modelseal.model import copying, hashing, tree
from modelseal.model.threads import Stop, Stopped

DATA = os.urandom(300_001)


@pytest.fixture
def copied(tmp_path, monkeypatch):
    monkeypatch.setattr(hashing, "AHEAD", 1000)
    monkeypatch.setattr(hashing, "BUFFER", 10_000)
    (tmp_path / "a").write_bytes(DATA)

    def copy(sink, beside, shard=None, stop=None, progress=None):
        with tree.single(tmp_path / "a") as file:
            return copying.copied(
                file, sink, oms.serialization(shard_size=shard),
                stop=stop or Stop(), beside=beside, progress=progress,
            )  # fmt: skip

    return copy


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("shard", [None, 7_001, 10_000, 10**6])
def test_what_is_hashed_is_what_is_written(copied, tmp_path, beside, shard):
    with (tmp_path / "copy").open("wb") as sink:
        found = copied(sink.fileno(), beside, shard)
    assert (tmp_path / "copy").read_bytes() == DATA
    step = shard or len(DATA)
    parts = (DATA[n : n + step] for n in range(0, len(DATA), step))
    assert found == b"".join(hashlib.sha256(part).digest() for part in parts)


@pytest.mark.parametrize("beside", [False, True])
def test_a_disk_that_is_full(copied, beside):
    with open("/dev/full", "wb", buffering=0) as sink, pytest.raises(copying.SinkError):  # noqa: PTH123
        copied(sink.fileno(), beside)


@pytest.mark.parametrize("beside", [False, True])
def test_it_ends_when_it_is_to_stop(copied, tmp_path, beside):
    stop = Stop()
    with (tmp_path / "copy").open("wb") as sink, pytest.raises(Stopped):
        copied(sink.fileno(), beside, stop=stop, progress=lambda _: stop.set())
    assert (tmp_path / "copy").stat().st_size < len(DATA)


@pytest.mark.parametrize("beside", [False, True])
def test_a_file_that_is_cut_short_is_undecided(copied, tmp_path, beside):
    with (tmp_path / "copy").open("wb") as sink, pytest.raises(Undecided) as refused:
        copied(sink.fileno(), beside, progress=lambda _: os.truncate(tmp_path / "a", 20_000))
    assert refused.value.code == "changed-while-reading"
