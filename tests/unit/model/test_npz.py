# SPDX-License-Identifier: Apache-2.0
"""Archives that zipfile fails to read, each in another way: all are refused as what they are."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from modelseal.errors import FormatError
from modelseal.model import npz

DIRECTORY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
# Where a field of an entry of the directory is (PKWARE APPNOTE.TXT section 4.3.12).
VERSION, FLAGS, SIZE, PLACE, NAME = 6, 8, 20, 42, 46
PATCHED, UTF8 = 0x20, 0x800


def archive(method=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr("a.npy", b"array " * 40)
    return bytearray(made.getvalue())


def bent(offset, form, value):
    raw = archive()
    struct.pack_into(form, raw, raw.index(DIRECTORY) + offset, value)
    return raw


def not_deflated():
    raw = archive(zipfile.ZIP_DEFLATED)
    raw[raw.index(b"a.npy") + 5] ^= 0xFF
    return raw


def not_utf8():
    raw = bent(FLAGS, "<H", UTF8)
    raw[raw.index(DIRECTORY) + NAME] = 0xFF
    return raw


def ends_early():
    raw = archive()
    end = raw.index(DIRECTORY)
    struct.pack_into("<II", raw, end + SIZE, len(raw), len(raw))
    return raw


@pytest.mark.parametrize(
    ("raw", "raised"),
    [
        (archive()[:-1], zipfile.BadZipFile),
        (not_deflated(), zlib.error),
        (bent(PLACE, "<I", len(archive()) - 1), zipfile.BadZipFile),
        (not_utf8(), ValueError),
        (ends_early(), (EOFError, zipfile.BadZipFile)),  # until Python 3.12, and since
        (bent(FLAGS, "<H", PATCHED), NotImplementedError),
        (bent(VERSION, "<H", 255), NotImplementedError),
    ],
    ids=["cut", "not-deflated", "no-member", "name", "ends-early", "patched", "later-version"],
)
def test_an_archive_that_cannot_be_read(raw, raised, tmp_path):
    whole, broken = tmp_path / "whole.npz", tmp_path / "broken.npz"
    whole.write_bytes(archive())
    broken.write_bytes(raw)
    with pytest.raises(FormatError, match="bad-npz") as refused:
        npz.compare(whole, broken)
    assert "the new one" in refused.value.message
    causes, error = [], refused.value
    while error is not None:
        causes.append(type(error))
        error = error.__cause__
    assert issubclass(causes[-1], raised), causes
