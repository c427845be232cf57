# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64

import pytest

from modelseal.errors import FormatError
from modelseal.formats import checkpoint, note, sct, tiles

# The example of C2SP tlog-checkpoint.
CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
OTHER_DIGITS = "\N{ARABIC-INDIC DIGIT ONE}" * 3
SIGNED = (
    CHECKPOINT + "\n— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)


def test_the_example_of_the_specification():
    signed = note.parse_note(SIGNED.encode())
    assert signed.text == CHECKPOINT
    (signature,) = signed.signatures
    assert signature.name == "example.com/behind-the-sofa"
    assert signature.key_hash.hex() == "033de0ae"
    assert len(signature.signature) == 64
    assert note.format_note(signed) == SIGNED.encode()
    parsed = checkpoint.parse_checkpoint(signed.text)
    assert (parsed.origin, parsed.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.format_checkpoint(parsed) == CHECKPOINT


def test_the_key_id_is_that_of_the_specification():
    # The verifier key in the documentation of golang.org/x/mod/sumdb/note
    key = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert note.key_id("PeterNeumann", key[0], key[1:])[:4].hex() == "c74f20a3"


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "a\n", "a\n\n", "a\n\nb\n", "a\n\n— n AAAA\n", "a\n\n— n AAAAAA==",
        "a\n\n— n+n AAAAAAA=\n", "a\n\n—  AAAAAAA=\n", "a\n\n— n AAAAAAA\n", "a\n\n— n  AAAAAAA=\n",
        "a\tb\n\n— n AAAAAAA=\n", "a\n\n- n AAAAAAA=\n", "a\n\n— n AAAAAAA=\n\n",
        "a\n\n— n AAAAAAA=\r\n", "\n\n— n AAAAAAA=\n", "a\n\n" + "— n AAAAAAA=\n" * 101,
    ],
)  # fmt: skip
def test_no_note(text):
    with pytest.raises(FormatError):
        note.parse_note(text.encode())


@pytest.mark.parametrize("data", [b"\xff\n\n\xe2\x80\x94 n AAAAAAA=\n", b"a" * (1 << 20) + b"b"])
def test_no_note_either(data):
    with pytest.raises(FormatError):
        note.parse_note(data)


@pytest.mark.parametrize(
    "text",
    [
        "", "o\n1\n", "o\n1\nAAAA\n", CHECKPOINT[:-1], CHECKPOINT + "\n", "\n" + CHECKPOINT,
        CHECKPOINT.replace("2085", "02085"), CHECKPOINT.replace("2085", "-085"),
        CHECKPOINT.replace("20852163", "9" * 20), CHECKPOINT.replace("20852163", OTHER_DIGITS),
        CHECKPOINT.replace("2I=", "2J="),
    ],
)  # fmt: skip
def test_no_checkpoint(text):
    with pytest.raises(FormatError):
        checkpoint.parse_checkpoint(text)


def test_a_line_break_cannot_be_smuggled_into_a_checkpoint():
    with pytest.raises(FormatError):
        checkpoint.format_checkpoint(checkpoint.Checkpoint("a\nb", 1, b"\0" * 32))
    with pytest.raises(FormatError):
        checkpoint.format_checkpoint(checkpoint.Checkpoint("a", 1, b"\0" * 32, ("b\nc",)))


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/x001/x234/067", tiles.Tile(0, 1234067)),  # the example of C2SP tlog-tiles
        ("tile/entries/000.p/1", tiles.Tile(None, 0, 1)),
        ("tile/7/255.p/255", tiles.Tile(7, 255, 255)),
        ("tile/1/x001/000", tiles.Tile(1, 1000)),
    ],
)
def test_tile_paths(path, tile):
    assert tiles.parse_path(path) == tile
    assert tiles.format_path(tile) == path


@pytest.mark.parametrize(
    "path",
    [
        "", "tile/8/000", "tile/0/0", "tile/0/x000/001", "tile/0/001/x234", "tile/0/000.p/256",
        "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/", "tile/00/000", "tile/-1/000",
        "/tile/0/000", "tile/0/000/", f"tile/0/{OTHER_DIGITS}", "tile/data/000", "tile/0/../000",
    ],
)  # fmt: skip
def test_no_tile_path(path):
    with pytest.raises(FormatError):
        tiles.parse_path(path)


def test_a_tile_is_there_when_all_of_it_is():
    assert tiles.available(tiles.Tile(0, 0, 5), 5)
    assert not tiles.available(tiles.Tile(0, 0, 6), 5)
    assert tiles.available(tiles.Tile(1, 0, 1), 256)
    assert not tiles.available(tiles.Tile(1, 0, 1), 255)
    assert tiles.available(tiles.Tile(None, 1), 512)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\2a", b"\0\0" * 257])
def test_no_entry_bundle(data):
    with pytest.raises(FormatError):
        tiles.parse_entries(data)


def test_an_entry_that_is_too_long_is_not_bundled():
    with pytest.raises(FormatError):
        tiles.format_entries([b"a" * 65536])


@pytest.mark.parametrize("count", [0, 1, 2, 600])
def test_sct_lists_of_every_length_of_length(count):
    scts = [sct.Sct(bytes(32), 1, b"s" * 60)] * count
    assert sct.parse_sct_list(sct.format_sct_list(scts)) == scts


@pytest.mark.parametrize("value", [sct.Sct(b"short", 1, b""), sct.Sct(bytes(32), 1, b"s" * 65536)])
def test_an_sct_that_cannot_be_written(value):
    with pytest.raises(FormatError):
        sct.format_sct_list([value])


@pytest.mark.parametrize("at", range(4, 53))
def test_an_sct_list_that_is_cut_short(at):
    good = sct.format_sct_list([sct.Sct(bytes(32), 1, b"sig")])
    body = good[2:at]
    with pytest.raises(FormatError):
        sct.parse_sct_list(bytes([4, len(body)]) + body)
