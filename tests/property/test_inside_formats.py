# SPDX-License-Identifier: Apache-2.0
"""Files to look into: every byte counts, and whatever a file says, it is read or refused."""

from __future__ import annotations

import io
import json
import os
import struct
import tempfile
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.model import gguf, npz, safetensors
from modelseal.model.tree import OpenFile

READERS = (gguf.read, npz.read_archive, npz.read_array, safetensors.read)


def opened(read, raw: bytes):
    """Return what `read` says of a file with these bytes."""
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        return read(OpenFile("f", file.fileno(), len(raw)))


def refused(read, raw: bytes) -> str:
    with pytest.raises(FormatError) as error:
        opened(read, raw)
    return str(error.value)


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def tensor(name: str, shape=(4,), kind=0, offset=0) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def key(name: str, kind: int, raw: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + raw


def head(tensors=(), keys=(), *, magic=b"GGUF", version=3, counts=None) -> bytes:
    counted = counts or (len(tensors), len(keys))
    return magic + struct.pack("<IQQ", version, *counted) + b"".join((*keys, *tensors))


def file(tensors=(), keys=(), data=b"", alignment=32, **changed) -> bytes:
    begin = head(tensors, keys, **changed)
    return begin + bytes(-len(begin) % alignment) + data


# A whole file of several tensors and all kinds of metadata, with the padding between them.
KEYS = (
    key("general.alignment", 4, struct.pack("<I", 16)),
    key("u8", 0, b"\x07"),
    key("bool", 7, b"\x01"),
    key("f64", 12, struct.pack("<d", 0.5)),
    key("text", 8, text("{{ template }}")),
    key("texts", 9, struct.pack("<IQ", 8, 2) + text("a") + text("bb")),
    key("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 5, 2) + bytes(8)),
)
TENSORS = (tensor("a", (2, 3)), tensor("b", (32,), 2, 32), tensor("c", (0,), 1, 64),
           tensor("d", (5,), 24, 64))  # fmt: skip
DATA = bytes(range(1, 25)) + bytes(8) + bytes(range(1, 19)) + bytes(14) + b"12345" + bytes(11)
WHOLE = file(TENSORS, KEYS, DATA, 16)


def test_a_whole_file():
    found = opened(gguf.read, WHOLE)
    assert {name: part.size for name, part in found.items() if "(" not in name} == {
        "a": 24, "b": 18, "c": 0, "d": 5,
    }  # fmt: skip
    assert len(found) == len(TENSORS) + len(KEYS)


def test_no_byte_of_a_file_changes_unseen():
    for place in {*range(len(WHOLE))} - {4}:  # version 2 is read like 3
        raw = bytearray(WHOLE)
        raw[place] ^= 1
        try:
            assert opened(gguf.read, bytes(raw)) != opened(gguf.read, WHOLE), place
        except FormatError as error:
            assert error.code == "bad-gguf"  # noqa: PT017 - either is right


def test_a_file_that_was_cut_off_is_refused():
    for length in range(len(WHOLE) - 11):  # the last tensor need not be padded
        assert "bad-gguf" in refused(gguf.read, WHOLE[:length]), length


HUGE = 2**64 - 1
HOSTILE = {
    "nothing": b"",
    "another magic": file(magic=b"GGML"),
    "version 1": file(version=1),
    "big-endian": head(magic=b"GGUF\0\0\0\x03")[:8] + bytes(16),
    "huge count of tensors": file(counts=(HUGE, 0)),
    "huge count of keys": file(counts=(0, HUGE)),
    "more tensors than bytes": file(counts=(90_000, 0)),
    "more keys than bytes": file(counts=(0, 90_000)),
    "a name of any length": head(counts=(1, 0)) + struct.pack("<Q", HUGE) + bytes(30),
    "a name that is not UTF-8": file((text(b"\xff") + tensor("")[8:],), data=bytes(32)),
    "a text of any length": file(keys=(key("k", 8, struct.pack("<Q", 2**40)),)),
    "an array of any length": file(keys=(key("k", 9, struct.pack("<IQ", 0, HUGE)),)),
    "an array of texts of any length": file(keys=(key("k", 9, struct.pack("<IQ", 8, HUGE)),)),
    "arrays in arrays": file(keys=(key("k", 9, struct.pack("<IQ", 9, 1) * 1000),)),
    "an unknown type of metadata": file(keys=(key("k", 13, b""),)),
    "a key twice": file(keys=(key("k", 0, b"1"), key("k", 0, b"1"))),
    "a tensor twice": file((tensor("a"), tensor("a", offset=32)), data=bytes(64)),
    "a tensor called like metadata": file(
        (tensor("k (metadata)"),), (key("k", 0, b"1"),), bytes(32)
    ),
    "five dimensions": file((tensor("a", (1, 1, 1, 1, 1)),), data=bytes(32)),
    "any number of dimensions": file(
        (text("a") + struct.pack("<IQQQ", 2**32 - 1, 1, 1, 1),), data=bytes(32)
    ),
    "negative, as two's complement": file((tensor("a", (HUGE - 3,)),), data=bytes(32)),
    "a product that wraps": file((tensor("a", (2**32, 2**32, 4)),), data=bytes(32)),
    "a type that is not known": file((tensor("a", kind=4),), data=bytes(32)),
    "part of a block": file((tensor("a", (16,), 2),), data=bytes(32)),
    "a tensor after the end": file((tensor("a", offset=2**63),), data=bytes(32)),
    "a gap": file((tensor("a"), tensor("b", offset=64)), data=bytes(96)),
    "a gap at the start": file((tensor("a", offset=32),), data=bytes(64)),
    "an overlap": file((tensor("a", (12,)), tensor("b", offset=32)), data=bytes(64)),
    "the same place twice": file((tensor("a"), tensor("b")), data=bytes(32)),
    "not aligned": file((tensor("a"), tensor("b", offset=16)), data=bytes(32)),
    "bytes after the end": file((tensor("a"),), data=bytes(33)),
    "bytes in the padding": file((tensor("a"),), data=bytes(16) + b"x"),
    "bytes before the data": head((tensor("a"),)) + b"x" * 39 + bytes(32),
    "alignment 0": file(keys=(key("general.alignment", 4, bytes(4)),)),
    "alignment 24": file(keys=(key("general.alignment", 4, struct.pack("<I", 24)),)),
    "alignment of gigabytes": file(keys=(key("general.alignment", 4, b"\0\0\0\x80"),)),
    "alignment as text": file(keys=(key("general.alignment", 8, text("32")),)),
}

GAP = "leave a gap, overlap or go on"
WHY = {
    "nothing": "ends too early", "another magic": "does not begin", "version 1": "does not begin",
    "big-endian": "does not begin", "huge count of tensors": "more than 100000",
    "huge count of keys": "more than 100000", "more tensors than bytes": "promises more",
    "more keys than bytes": "promises more", "a name of any length": "ends too early",
    "a name that is not UTF-8": "not UTF-8", "a text of any length": "ends too early",
    "an array of any length": "promises more", "an array of texts of any length": "promises more",
    "arrays in arrays": "unknown type", "an unknown type of metadata": "unknown type",
    "a key twice": "key twice", "a tensor twice": "tensor twice",
    "a tensor called like metadata": "name of its metadata", "five dimensions": "too many",
    "any number of dimensions": "too many", "negative, as two's complement": GAP,
    "a product that wraps": GAP, "a type that is not known": "type 4", "part of a block": "block",
    "a tensor after the end": GAP, "a gap": GAP, "a gap at the start": GAP, "an overlap": GAP,
    "the same place twice": GAP, "not aligned": GAP, "bytes after the end": "belong to no",
    "bytes in the padding": "padding", "bytes before the data": "padding",
    "alignment 0": "no sense", "alignment 24": "no sense", "alignment of gigabytes": "no sense",
    "alignment as text": "no sense",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_gguf_files_that_nobody_writes(name):
    raw = HOSTILE[name]
    tracemalloc.start()
    try:
        said = refused(gguf.read, raw)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert WHY[name] in said


@given(
    st.dictionaries(st.text(max_size=8), st.binary(max_size=90), max_size=6),
    st.dictionaries(st.text(max_size=8), st.text(max_size=9), max_size=4),
)
def test_what_was_written_is_what_is_read(tensors, metadata):
    infos, data = [], b""
    for name, raw in tensors.items():
        infos.append(tensor(name, (len(raw),), 24, len(data)))
        data += raw + bytes(-len(raw) % 32)
    keys = [key(name, 8, text(value)) for name, value in metadata.items()]
    if {f"{name} (metadata)" for name in metadata} & tensors.keys():
        return
    if "general.alignment" in metadata:
        return
    found = opened(gguf.read, file(infos, keys, data))
    assert {name: part.size for name, part in found.items()} == {
        **{name: len(raw) for name, raw in tensors.items()},
        **{f"{name} (metadata)": 12 + len(value.encode()) for name, value in metadata.items()},
    }


@pytest.mark.parametrize("read", READERS)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(read, raw):
    for begin in (b"", b"GGUF\x03\0\0\0", b"\x93NUMPY\x01\0", b"PK\x03\x04", WHOLE[:60]):
        try:
            opened(read, begin + raw)
        except FormatError as error:
            assert error.code  # noqa: PT017 - either is right


def archive(**arrays) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


ARCHIVE = archive(a=np.arange(50), b=np.zeros((3, 4)))


@given(st.integers(0, len(ARCHIVE) - 1), st.integers(1, 255))
def test_an_archive_that_was_bent_is_read_or_refused(place, flip):
    raw = bytearray(ARCHIVE)
    raw[place] ^= flip
    try:
        opened(npz.read_archive, bytes(raw))
    except FormatError as error:
        assert error.code == "bad-npz"  # noqa: PT017 - either is right


@given(st.integers(0, len(ARCHIVE) - 1))
def test_an_archive_that_was_cut_off_is_refused(length):
    assert "bad-npz" in refused(npz.read_archive, ARCHIVE[:length])


def directory(raw: bytes, offset: int, packed: bytes, which: int = 0) -> bytes:
    """Return the archive with `packed` put into the directory entry number `which`."""
    place = -1
    for _ in range(which + 1):
        place = raw.index(b"PK\x01\x02", place + 1)
    return raw[: place + offset] + packed + raw[place + offset + len(packed) :]


def doubled() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.writestr("a", b"1")
        made.writestr("a", b"2")
    return out.getvalue()


def another_method() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a", b"1" * 1000)
    return out.getvalue()


END = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, 9 * 1024 * 1024, 0, 0)
ARCHIVES = {
    "a bomb": (directory(ARCHIVE, 24, struct.pack("<I", 2**31)), "unpacks"),
    "less than it unpacks to": (directory(ARCHIVE, 24, struct.pack("<I", 10)), "whole"),
    "members that overlap": (directory(ARCHIVE, 20, struct.pack("<I", 2**31)), "overlap"),
    "a second name for a member": (directory(ARCHIVE, 42, bytes(4), 1), "whole"),
    "a member twice": (doubled(), "twice"),
    "encrypted": (directory(ARCHIVE, 8, b"\x01"), "does not write"),
    "another method": (another_method(), "does not write"),
    "a directory of any size": (bytes(9 * 1024 * 1024) + END, "too large"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_that_nobody_writes(name):
    raw, why = ARCHIVES[name]
    assert why in refused(npz.read_archive, raw)


def test_a_member_is_never_unpacked_as_a_whole():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made, made.open("a", "w") as member:
        for _ in range(200):
            member.write(bytes(1024 * 1024))
    tracemalloc.start()
    try:
        assert opened(npz.read_archive, out.getvalue())["a"].size == 200 * 1024 * 1024
        assert tracemalloc.get_traced_memory()[1] < 20 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\0", b"\x93NUMPY\x04\0\0\0", b"\x93NUMPY\x01\0\xff\0{}",
     b"\x93NUMPY\x02\0\xff\xff\xff\xff" + bytes(99)],
)  # fmt: skip
def test_what_is_no_array(raw):
    assert "bad-npz" in refused(npz.read_array, raw)


@given(st.data())
def test_no_byte_of_an_array_changes_unseen(data):
    out = io.BytesIO()
    np.save(out, np.arange(9))
    raw = bytearray(out.getvalue())
    place = data.draw(st.integers(0, len(raw) - 1))
    before = opened(npz.read_array, bytes(raw))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        assert opened(npz.read_array, bytes(raw)) != before
    except FormatError as error:
        assert error.code == "bad-npz"  # noqa: PT017 - either is right


def stored(tensors: dict[str, tuple[bytes, tuple[int, ...]]], metadata: dict[str, str]) -> bytes:
    entries: dict[str, object] = {"__metadata__": metadata}
    data = b""
    for name, (raw, shape) in tensors.items():
        place = [len(data), len(data) + len(raw)]
        entries[name] = {"dtype": "U8", "shape": shape, "data_offsets": place}
        data += raw
    header = json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + data


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.binary(max_size=40), st.tuples(st.integers(0, 9))),
        max_size=6,
    ),
    st.integers(0, 2**32),
)
def test_no_byte_of_a_tensor_changes_unseen(tensors, place):
    raw = bytearray(stored(tensors, {"by": "test"}))
    data = sum(len(one) for one, _ in tensors.values())
    before = opened(safetensors.read, bytes(raw))
    assert before.keys() == {*tensors, "by (metadata)"}
    if data:
        raw[-1 - place % data] ^= 1
        after = opened(safetensors.read, bytes(raw))
        assert len([name for name in before if before[name] != after[name]]) == 1


def test_a_file_that_shrinks_is_no_answer(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(WHOLE)
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(Exception, match="changed-while-reading"):
            gguf.read(OpenFile("a.gguf", fd, len(WHOLE) + 500))
    finally:
        os.close(fd)
