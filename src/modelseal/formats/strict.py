# SPDX-License-Identifier: Apache-2.0
"""Strict JSON and base64: what every other format here is read with.

Duplicate members are refused because parsers differ on which one wins, and a signature over bytes
that two readers understand differently is worth nothing. The same holds for base64 with stray
characters or non-zero trailing bits: one value, one spelling. Only the JSON mapping of Protocol
Buffers, in which bundles and trusted roots are written, has several: `parse_proto`, `proto_bytes`.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import Any, NoReturn, TypeVar

from modelseal.errors import FormatError, shown

T = TypeVar("T")

_PROTO_NAME = rb'_[^_"]*"\s*:'  # a member whose name has an underscore

MAX_ITEMS = 20_000  # values in a document; a bundle has some hundred

_KINDS: dict[type, str] = {
    str: "a string", dict: "an object", list: "a list", int: "an integer", bool: "true or false",
}  # fmt: skip


def parse_json(data: bytes, *, what: str, limit: int, items: int = MAX_ITEMS) -> Any:  # noqa: ANN401 - JSON is any value
    """Return the JSON value in `data` (UTF-8, at most `limit` bytes and about `items` values).

    Three bytes of JSON can become a hundred of memory, so values are bounded as well: before they
    are made, by the characters without which there is no further one.

    Raises:
        FormatError: too large, not UTF-8, not JSON, a duplicate member, NaN, or nested too deeply.
    """
    if len(data) > limit:
        raise FormatError("too-large", f"The {what} is larger than {limit} bytes.")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > items:
        raise FormatError("too-many", f"The {what} has more than {items} values.")
    if not data.strip():
        raise FormatError(
            "empty", f"The {what} is empty.", "Get the file again, or write it again."
        )

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise FormatError("duplicate-member", f"The {what} has a member twice in one object.")
        return members

    def no_constant(name: str) -> NoReturn:
        raise FormatError("not-json", f"The {what} has {name}, which is not JSON.")

    try:
        return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:  # ValueError: bad UTF-8, bad JSON, huge integers
        raise FormatError("not-json", f"The {what} is not JSON.", shown(str(error))) from error


def as_kind(value: object, kind: type[T], *, what: str) -> T:
    """Return `value` if it is exactly of `kind` (a bool is no int).

    Raises:
        FormatError: it is of another kind.
    """
    if type(value) is not kind:
        raise FormatError("wrong-type", f"The {what} must be {_KINDS[kind]}.")
    return value


def member(obj: dict[str, Any], name: str, kind: type[T], *, what: str) -> T:
    """Return `obj[name]`, which must be there and of `kind`.

    Raises:
        FormatError: missing or of another kind.
    """
    if name not in obj:
        raise FormatError("missing-member", f"The {what} has no {name!r}.")
    return as_kind(obj[name], kind, what=f"{name!r} of the {what}")


def optional(obj: dict[str, Any], name: str, kind: type[T], *, what: str) -> T | None:
    """Return `obj[name]` of `kind`, or None when it is absent or null.

    Raises:
        FormatError: of another kind.
    """
    return None if obj.get(name) is None else member(obj, name, kind, what=what)


def known(obj: dict[str, Any], what: str, *names: str) -> None:
    """Check that `obj` has no other members than `names`.

    Raises:
        FormatError: it has one ("unknown-member").
    """
    unknown = sorted(obj.keys() - set(names))
    if unknown:
        raise FormatError(
            "unknown-member", f"The {what} has an unknown member '{shown(unknown[0], 40)}'."
        )


def b64decode(text: str, *, what: str) -> bytes:
    """Return the bytes of canonical standard base64 (RFC 4648 section 4).

    Raises:
        FormatError: any other spelling.
    """
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error is one
        raise FormatError("not-base64", f"The {what} is not base64.") from error
    if b64encode(data) != text:
        raise FormatError("not-base64", f"The {what} is not canonical base64.")
    return data


def parse_proto(data: bytes, *, what: str, limit: int) -> dict[str, Any]:
    """Return the JSON object in `data`, its members named as protobuf's JSON mapping writes them.

    A reader must take the names of the .proto file as well (protobuf.dev, "ProtoJSON Format").

    Raises:
        FormatError: as for `parse_json`; no object; a member by both of its names.
    """
    obj = as_kind(parse_json(data, what=what, limit=limit), dict, what=what)
    return _json_names(obj, what) if re.search(_PROTO_NAME, data) else obj


def _json_names(obj: dict[str, Any], what: str) -> dict[str, Any]:
    found = {_json_name(name): _within(value, what) for name, value in obj.items()}
    if len(found) != len(obj):
        raise FormatError("duplicate-member", f"The {what} has a member twice in one object.")
    return found


def _within(value: object, what: str) -> object:
    if type(value) is list:
        return [_within(item, what) for item in value]
    return _json_names(value, what) if type(value) is dict else value


def _json_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def proto_bytes(text: str, *, what: str) -> bytes:
    """Return the bytes that `text` is in protobuf's JSON mapping.

    A reader must take both alphabets of RFC 4648. Line breaks are taken too, as `base64` puts them
    in and the clients of Sigstore read over them; a missing padding is not, nobody writes that.

    Raises:
        FormatError: anything else.
    """
    try:
        return b64decode(text, what=what)
    except FormatError:
        return b64decode(_plain(text, what), what=what)


def _plain(text: str, what: str) -> str:
    plain = text.translate(_LINE_BREAKS)
    if "-" not in plain and "_" not in plain:
        return plain
    if "+" in plain or "/" in plain:
        raise FormatError("not-base64", f"The {what} mixes two alphabets of base64.")
    return plain.translate(_URL_SAFE)


_LINE_BREAKS = str.maketrans("", "", "\r\n")
_URL_SAFE = str.maketrans("-_", "+/")


def b64encode(data: bytes) -> str:
    """Return standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")
