# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from modelseal.errors import FormatError
from modelseal.model import safetensors


def file(path, tensors: dict[str, bytes], header: dict | None = None, tail: bytes = b""):
    entries, data = {}, b""
    for name, raw in tensors.items():
        place = [len(data), len(data) + len(raw)]
        entries[name] = {"dtype": "U8", "shape": [len(raw)], "data_offsets": place}
        data += raw
    head = json.dumps({"__metadata__": {"by": "test"}, **entries, **(header or {})}).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + data + tail)
    return path


def test_tensors_that_differ_are_named(tmp_path):
    old = file(tmp_path / "old", {"a": b"1", "b": b"22", "gone": b"3"})
    new = file(tmp_path / "new", {"new": b"3", "b": b"2x", "a": b"1"})
    found = safetensors.compare(old, new)
    assert (found.changed, found.added, found.missing) == (("b",), ("new",), ("gone",))
    assert not safetensors.compare(old, old)


def test_another_shape_of_the_same_bytes_is_a_change(tmp_path):
    old = file(tmp_path / "old", {"a": b"1234"})
    shape = {"a": {"dtype": "U8", "shape": [2, 2], "data_offsets": [0, 4]}}
    assert safetensors.compare(old, file(tmp_path / "new", {"a": b"1234"}, shape)).changed == ("a",)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\xff" * 8, b"\x05" + bytes(7) + b"{}", b"\x02" + bytes(7) + b"[]", b"\x01" + bytes(7)],
)
def test_what_is_no_safetensors_file(tmp_path, raw):
    (tmp_path / "bad").write_bytes(raw)
    with pytest.raises(FormatError):
        safetensors.compare(tmp_path / "bad", tmp_path / "bad")


@pytest.mark.parametrize("offsets", [[0, 9], [1, 4], [3, 1], [-1, 4], [0], "x", [0, 4.0], [0, 3]])
def test_places_that_do_not_fill_the_data(tmp_path, offsets):
    entry = {"a": {"dtype": "U8", "shape": [4], "data_offsets": offsets}}
    bad = file(tmp_path / "bad", {"a": b"1234"}, entry)
    with pytest.raises(FormatError):
        safetensors.compare(bad, bad)
    with pytest.raises(FormatError):
        safetensors.compare(*[file(tmp_path / "tail", {"a": b"1"}, tail=b"hidden")] * 2)
