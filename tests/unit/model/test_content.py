# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import pickle
import zipfile

import joblib
import numpy as np
import pytest
from safetensors.numpy import save

from modelseal.model.content import FORMATS, HEAD, format_of

ARRAY = np.arange(3)


def numpy_bytes(write) -> bytes:
    into = io.BytesIO()
    write(into)
    return into.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr(name, data)
    return into.getvalue()


REAL = {
    "safetensors": ("model.safetensors", save({"a": ARRAY})),
    "numpy": ("a.npy", numpy_bytes(lambda f: np.save(f, ARRAY))),
    "npz": ("a.npz", numpy_bytes(lambda f: np.savez(f, a=ARRAY))),
    "zip": ("a.zip", zipped("data.pkl", pickle.dumps(1))),
    "keras": ("a.keras", zipped("config.json", b"{}")),
    "gguf": ("a.gguf", b"GGUF\x03\0\0\0"),
    "hdf5": ("a.h5", b"\x89HDF\r\n\x1a\n\0"),
    "tflite": ("a.tflite", b"\x1c\0\0\0TFL3"),
    "onnx": ("a.onnx", b"\x08\x07\x12\x07pytorch"),
    "tensorflow": ("saved_model.pb", b"\x08\x01\x12"),
    "sentencepiece": ("tokenizer.model", b"\n\x0e\n\x05<unk>"),
    "json": ("config.json", json.dumps({"a": "é" * HEAD}, ensure_ascii=False).encode()),
    "text": ("README.md", "# Modèle\n".encode()),
    "code": ("modeling.py", b"import os\n"),
    "other": ("a.ubj", b"{L\0\0\0\0"),
}


@pytest.mark.parametrize("expected", REAL)
def test_real_files(expected):
    name, data = REAL[expected]
    assert format_of(name, data[:HEAD]) == expected
    assert expected in FORMATS


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol):
    data = pickle.dumps(print, protocol)
    assert format_of("model.pkl", data) == "pickle"
    # Without a name that says so, protocols 0 and 1 have no mark; they are nothing good either.
    assert format_of("model", data) == ("other" if protocol < 2 else "pickle")
    assert format_of("model.safetensors", data) == ("other" if protocol < 2 else "pickle")


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("lzma", 3), ("bz2", 3)])
def test_joblib_files_compressed_or_not(compress):
    data = numpy_bytes(lambda f: joblib.dump({"a": ARRAY}, f, compress=compress))
    assert format_of("model.joblib", data) == "pickle"
    assert format_of("model", data) in {"pickle", "other"}


@pytest.mark.parametrize("name", ["model.pkl", "a.PT", "pytorch_model.bin", "x.joblib", "c.ckpt"])
def test_a_name_that_is_unpickled_is_a_pickle_whatever_is_in_it(name):
    for _, data in REAL.values():
        assert format_of(name, data[:HEAD]) == "pickle" or data[:2] == b"#!"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("lib.so", b""),
        ("x", b"\x7fELF"),
        ("run", b"#!/bin/sh\n"),
        ("a.safetensors", b"MZ"),
        ("A.PY", b"{}"),
    ],
)
def test_code(name, data):
    assert format_of(name, data) == "code"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.safetensors", b""),
        ("a.safetensors", b"\x02\0\0\0\0\0\0\0[]"),
        ("a.safetensors", b"\xff" * 8 + b"{}"),
        ("a.onnx", b""),
        ("a.onnx", b"PK"),
        ("a.json", b'{"a": "\x00"}'),
        ("a.json", b"\xff{}"),
        ("a.txt", b"\x1b[31m"),
        ("a", b"cos\nsystem\n(S'x'\ntR."),
        ("a.npz", b"\x80"),
    ],
)
def test_what_is_not_what_its_name_says_is_something_else(name, data):
    assert format_of(name, data) == "other"
