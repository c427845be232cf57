# SPDX-License-Identifier: Apache-2.0
"""Round trips of what a transparency log writes, and no crash on what it does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import checkpoint, note, sct, tiles

LINES = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)
SIGNATURES = st.builds(
    note.Signature, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)
)
NOTES = st.builds(
    note.Note,
    st.lists(LINES, min_size=1, max_size=5).map(lambda lines: "\n".join(lines) + "\n"),
    st.lists(SIGNATURES, min_size=1, max_size=3).map(tuple),
)
CHECKPOINTS = st.builds(
    checkpoint.Checkpoint, LINES, st.integers(0, 2**53), st.binary(min_size=32, max_size=32),
    st.lists(LINES, max_size=3).map(tuple),
)  # fmt: skip
TILES = st.builds(
    tiles.Tile, st.none() | st.integers(0, 7), st.integers(0, 10**12), st.integers(1, 256)
)
SCTS = st.builds(
    sct.Sct, st.binary(min_size=32, max_size=32), st.integers(0, 2**64 - 1),
    st.binary(max_size=80), st.binary(max_size=40), st.just(sct.SHA256_ECDSA),
)  # fmt: skip
ENTRIES = st.lists(st.binary(max_size=50), min_size=1, max_size=256)


@given(NOTES)
def test_note(value):
    assert note.parse_note(note.format_note(value)) == value


@given(CHECKPOINTS)
def test_checkpoint(value):
    assert checkpoint.parse_checkpoint(checkpoint.format_checkpoint(value)) == value


@given(TILES)
def test_tile_path(value):
    assert tiles.parse_path(tiles.format_path(value)) == value


@given(ENTRIES)
def test_entry_bundle(value):
    assert tiles.parse_entries(tiles.format_entries(value)) == value


@given(st.lists(SCTS, max_size=4))
def test_sct_list(value):
    assert sct.parse_sct_list(sct.format_sct_list(value)) == value


def either(parse, format_, data):
    """What parses has exactly one spelling; what does not is refused, never a crash."""
    try:
        value = parse(data)
    except FormatError:
        return
    assert format_(value) == data


@given(st.binary(max_size=200) | NOTES.map(note.format_note), st.data())
def test_any_bytes_as_note_entries_and_scts(data, draw):
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + 1 :]
    either(note.parse_note, note.format_note, data)
    either(tiles.parse_entries, tiles.format_entries, data)
    either(sct.parse_sct_list, sct.format_sct_list, data)


@given(st.text(max_size=200) | CHECKPOINTS.map(checkpoint.format_checkpoint), st.data())
def test_any_text_as_checkpoint_and_path(text, draw):
    if text:
        at = draw.draw(st.integers(0, len(text) - 1))
        text = text[:at] + draw.draw(st.text(max_size=3)) + text[at + 1 :]
    either(checkpoint.parse_checkpoint, checkpoint.format_checkpoint, text)
    either(tiles.parse_path, tiles.format_path, text)


@given(st.lists(SCTS, min_size=1, max_size=2), st.data())
def test_a_changed_sct_list(value, draw):
    data = bytearray(sct.format_sct_list(value))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    either(sct.parse_sct_list, sct.format_sct_list, bytes(data))
