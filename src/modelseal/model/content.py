# SPDX-License-Identifier: Apache-2.0
"""What a file of a model is, by its first bytes, and by its name where loaders go by that.

A loader may go by either, so a name can only make the answer stricter: a file named `model.pkl`
is a pickle whatever it looks like, since something that looks like another format can be a pickle
too. Nothing here proves that a file is well-formed, or that a model is safe.
"""

from __future__ import annotations

import codecs
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from modelseal.files import translated
from modelseal.model import walk

if TYPE_CHECKING:
    from modelseal.model.scope import Scope
    from modelseal.model.tree import OpenFile, Root

HEAD = 4096  # bytes that are looked at
OTHER = "other"
FORMATS = (
    "safetensors", "gguf", "onnx", "numpy", "npz", "hdf5", "keras", "tensorflow", "tflite",
    "sentencepiece", "pickle", "code", "zip", "json", "text", OTHER,
)  # fmt: skip

_HEADER_LIMIT = 100_000_000  # bytes of a safetensors header, as the format has it
_CODE = frozenset(
    (".py", ".pyc", ".pyo", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".jar", ".ipynb")
)
_PICKLES = frozenset((".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".bin", ".p"))
_TEXTS = frozenset(
    (".txt", ".md", ".rst", ".csv", ".tsv", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".jinja")
)
_TEXT_NAMES = frozenset(("README", "LICENSE", "NOTICE", "VERSION", "MLmodel"))
_EXECUTABLE = (b"\x7fELF", b"MZ", b"#!", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_MAGIC = (  # where it is, what it is
    (0, b"GGUF", "gguf"),
    (0, b"\x93NUMPY", "numpy"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"),
    (0, b"PK\x03\x04", "zip"),
    (4, b"TFL3", "tflite"),
)
_ZIPS = {(".npz", "zip"): "npz", (".keras", "zip"): "keras"}
# Protocol buffers have no magic number: the tag of their first field, and a name.
_PROTOCOL_BUFFERS = {
    ".onnx": (b"\x08", "onnx"),
    ".pb": (b"\x08\x0a", "tensorflow"),
    ".model": (b"\x0a", "sentencepiece"),
}


def format_of(name: str, head: bytes) -> str:
    """Return which of `FORMATS` the file `name` has that begins with `head`."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _CODE or head.startswith(_EXECUTABLE):
        return "code"
    if suffix in _PICKLES or _is_pickle(head):
        return "pickle"
    return _by_magic(suffix, head) or _as_text(name, head) or OTHER


def _by_magic(suffix: str, head: bytes) -> str | None:
    for place, magic, found in _MAGIC:
        if head.startswith(magic, place):
            return _ZIPS.get((suffix, found), found)
    if _is_safetensors(head):
        return "safetensors"
    tags, found = _PROTOCOL_BUFFERS.get(suffix, (b"", ""))
    return found if head[:1] and head[:1] in tags else None


def _as_text(name: str, head: bytes) -> str | None:
    if not _is_text(head):
        return None
    if head.lstrip()[:1] in {b"{", b"["}:
        return "json"
    # A pickle of protocol 0 is text too: only what nobody unpickles, by its name.
    path = PurePosixPath(name)
    return "text" if path.suffix.lower() in _TEXTS or path.name in _TEXT_NAMES else None


def of_open_file(file: OpenFile) -> str:
    """Return which of `FORMATS` the open `file` has.

    Raises:
        Undecided: it cannot be read.
    """
    with translated(file.name):
        return format_of(file.name, os.pread(file.fd, HEAD, 0))


def formats(root: Root, scope: Scope) -> dict[str, str]:
    """Return which of `FORMATS` each signed file of the model at `root` has, by its name.

    Raises:
        FormatError, Undecided: see `walk.walk` and `walk.opened`.
    """
    found = (files.only(scope.is_signed) for files in walk.walk(root, scope))
    listing = (files for files in found if files.names)
    return {file.name: of_open_file(file) for file in walk.opened(root, listing)}


def _is_pickle(head: bytes) -> bool:
    """Return whether `head` begins as pickles do since protocol 2 (PEP 307)."""
    return head[:1] == b"\x80" and head[1:2] in {b"\x02", b"\x03", b"\x04", b"\x05"}


def _is_safetensors(head: bytes) -> bool:
    return 0 < int.from_bytes(head[:8], "little") <= _HEADER_LIMIT and head[8:9] == b"{"


def _is_text(head: bytes) -> bool:
    """Return whether `head` is UTF-8 without control characters; its last one may be cut."""
    try:
        text, _ = codecs.utf_8_decode(head, "strict", len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r\f" for character in text)
