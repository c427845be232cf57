# SPDX-License-Identifier: Apache-2.0
r"""Signed notes (C2SP signed-note): a text and the signatures under it.

    <text, one or more lines>\n
    \n
    — <key name> base64(<4-byte key hash> <signature>)\n

Nothing here checks a signature; `Note.text` is what was signed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from modelseal.errors import FormatError
from modelseal.formats.strict import b64decode, b64encode

ED25519 = 0x01
KEY_HASH_SIZE = 4

_LIMIT = 1 << 20
_MAX_SIGNATURES = 100
_DASH = "— "


class Signature(NamedTuple):
    """One signature line; `key_hash` says which key to try, it proves nothing."""

    name: str
    key_hash: bytes
    signature: bytes


class Note(NamedTuple):
    """A text (ends in a newline) and its signatures, in the order of the file."""

    text: str
    signatures: tuple[Signature, ...]


def key_id(name: str, algorithm: int, public_key: bytes) -> bytes:
    """Return the 32-byte key id; its first 4 bytes are the key hash of the signature line."""
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public_key).digest()


def format_note(note: Note) -> bytes:
    """Return the bytes of `note`; `parse_note` gives it back.

    Raises:
        FormatError: a text or name that a note cannot carry.
    """
    _check_text(note.text)
    lines = []
    for signature in note.signatures:
        _check_name(signature.name)
        blob = b64encode(signature.key_hash + signature.signature)
        lines.append(f"{_DASH}{signature.name} {blob}\n")
    return (note.text + "\n" + "".join(lines)).encode()


def parse_note(data: bytes) -> Note:
    """Return the note in `data`.

    Raises:
        FormatError: not exactly the form above, without a signature, or over a megabyte.
    """
    if len(data) > _LIMIT:
        raise FormatError("too-large", "The signed note is larger than a megabyte.")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise _bad("is not UTF-8") from error
    head, blank, tail = whole.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise _bad("has no signature part")
    text = head + "\n"
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise _bad(f"has more than {_MAX_SIGNATURES} signatures")
    return Note(text, tuple(_parse_signature(line) for line in lines))


def _parse_signature(line: str) -> Signature:
    name, space, blob = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise _bad("has a line that is no signature")
    _check_name(name)
    raw = b64decode(blob, what="note signature")
    if len(raw) <= KEY_HASH_SIZE:
        raise _bad("has a signature that is too short")
    return Signature(name, raw[:KEY_HASH_SIZE], raw[KEY_HASH_SIZE:])


def _check_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise _bad("has an empty text or one that does not end in a newline")
    if any(char < " " and char != "\n" for char in text):
        raise _bad("has a control character")


def _check_name(name: str) -> None:
    if not name or "+" in name or not name.isprintable() or any(c.isspace() for c in name):
        raise _bad("has a bad key name")


def _bad(what: str) -> FormatError:
    return FormatError("bad-note", f"The signed note {what}.")
