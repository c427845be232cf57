# SPDX-License-Identifier: Apache-2.0
"""Reads tables of the policy document by `schema`, and says on which line a mistake is."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from modelseal.errors import FormatError, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from modelseal.policy.schema import Key

    # Where a table is: names, and behind the name of an array of tables its number.
    Place = tuple[str | int, ...]

HINT = "See docs/policy.md."
_UNITS = {"s": 1, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}  # bytes
_END_OF_DAY = time(23, 59, 59, 999_999, UTC)
_SIZE_TEXT = "a number and B, kB, MB, GB or TB, such as 200GB"
_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[=.:]""")


class Reader:
    """Turns tables into Python values; keeps the text only to name lines in errors."""

    def __init__(self, text: str, what: str = "policy") -> None:
        self._document = text
        self._what = what

    def table(self, value: object, keys: Mapping[str, Key], place: Place) -> dict[str, Any]:
        """Return the table `value` with its values as tuples, times and so on.

        Raises:
            FormatError: it has not just these keys, or a value of another kind.
        """
        if not isinstance(value, dict):
            raise self.error(place[:-1], place[-1], f"{_shown_key(place[-1])} must be a table")
        for name in value:
            if name not in keys:
                raise self._unknown(name, keys, place)
        for name, key in keys.items():
            if key.required and name not in value:
                raise self.error(place, None, f"{self._shown_place(place)} has no '{name}'")
        return {name: self._value(one, keys[name], (*place, name)) for name, one in value.items()}

    def check_name(self, name: str, known: Iterable[str], place: Place, key: str) -> None:
        """Check that the signer `name` is among those `known`.

        Raises:
            FormatError: it is not.
        """
        known = list(known)
        if name not in known:
            message = f"The signer '{shown(name)}' is not defined"
            raise self.error(place, key, message, near=_nearest(name, known))

    def error(
        self, place: Place, key: str | int | None, message: str, hint: str = HINT, near: str = ""
    ) -> FormatError:
        """Return the error `message` about `key` of the table at `place`, with its line.

        `near` says what may have been meant.
        """
        line = _line_of(self._document, place, None if key is None else str(key))
        suffix = f" (line {line})" if line else ""
        return FormatError("bad-policy", f"{message}{suffix}{near}.", hint)

    def _unknown(self, name: str, keys: Iterable[str], place: Place) -> FormatError:
        where = f" of {self._shown_place(place)}" if place else ""
        message = f"The {self._what} has an unknown key '{shown(name)}'{where}"
        return self.error(place, name, message, near=_nearest(name, keys))

    def _shown_place(self, place: Place) -> str:
        """Return the header of a table, for people."""
        if not place:
            return f"The {self._what}"
        header = shown(".".join(str(one) for one in place if isinstance(one, str)))
        return f"[[{header}]]" if isinstance(place[-1], int) else f"[{header}]"

    def _value(self, value: object, key: Key, place: Place) -> object:
        """Return `value` as what the schema says of `key`."""
        read: Callable[[object, Key, Place], object] = {
            "table": self._table,
            "tables": self._tables,
            "named tables": self._named_tables,
            "text": self._text,
            "texts": self._texts,
            "text or texts": self._text_or_texts,
            "integer": self._integer,
            "boolean": self._boolean,
            "moment": self._moment,
            "duration": self._duration,
            "size": self._size,
        }[key.kind]
        return read(value, key, place)

    def _table(self, value: object, key: Key, place: Place) -> dict[str, Any]:
        return self.table(value, key.table or {}, place)

    def _tables(self, value: object, key: Key, place: Place) -> list[dict[str, Any]]:
        items = self._list(value, place, "tables, [[...]]")
        return [self._table(one, key, (*place, number)) for number, one in enumerate(items)]

    def _named_tables(self, value: object, key: Key, place: Place) -> dict[str, dict[str, Any]]:
        if not isinstance(value, dict):
            raise self._wrong(place, "must be a table")
        return {name: self._table(one, key, (*place, name)) for name, one in value.items()}

    def _text_or_texts(self, value: object, key: Key, place: Place) -> tuple[str, ...]:
        return self._texts([value] if isinstance(value, str) else value, key, place)

    def _texts(self, value: object, key: Key, place: Place) -> tuple[str, ...]:
        what = "a list of strings, at least one"
        items = self._list(value, place, what)
        if not items or not all(isinstance(one, str) for one in items):
            raise self._wrong(place, f"must be {what}")
        return tuple(self._text(one, key, place) for one in items)

    def _text(self, value: object, key: Key, place: Place) -> str:
        if not isinstance(value, str) or not value:
            raise self._wrong(place, "must be a string" + ", not an empty one" * (value == ""))
        if key.pattern and not re.fullmatch(key.pattern, value):
            raise self._wrong(place, f"must not be '{shown(value)}': {_pattern_text(key)}")
        self._check_choice(value, key, place)
        return value

    def _integer(self, value: object, key: Key, place: Place) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(place, "must be an integer")
        if value < 0:
            raise self._wrong(place, "must not be negative")
        self._check_choice(value, key, place)
        return value

    def _boolean(self, value: object, _key: Key, place: Place) -> bool:
        if not isinstance(value, bool):
            raise self._wrong(place, "must be true or false")
        return value

    def _duration(self, value: object, key: Key, place: Place) -> timedelta:
        text = self._text(value, key, place)
        return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])

    def _size(self, value: object, key: Key, place: Place) -> int:
        return parse_size(self._text(value, key, place))

    def _moment(self, value: object, _key: Key, place: Place) -> datetime:
        """Return a time, UTC; a date is its first moment, as the end of a period its last."""
        found = _parsed_moment(value) if isinstance(value, str) else value
        if isinstance(found, datetime):
            if found.tzinfo is None:
                raise self._wrong(place, "must have a time zone, such as a Z at the end")
            return found.astimezone(UTC)
        if not isinstance(found, date):
            what = "a date or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z"
            raise self._wrong(place, f"must be {what}")
        last = place[-1] == "not_after"
        return datetime.combine(found, _END_OF_DAY if last else time(0, tzinfo=UTC))

    def _list(self, value: object, place: Place, what: str) -> list[object]:
        if not isinstance(value, list):
            raise self._wrong(place, f"must be {what}")
        return value

    def _check_choice(self, value: object, key: Key, place: Place) -> None:
        if key.choices and value not in key.choices:
            known = [str(one) for one in key.choices]
            word = "must be" if len(known) == 1 else "must be one of"
            message = f"{word} {', '.join(known)}, not '{shown(str(value))}'"
            raise self._wrong(place, message, _nearest(str(value), known))

    def _wrong(self, place: Place, message: str, near: str = "") -> FormatError:
        message = f"The {self._what}'s {_shown_key(place[-1])} {message}"
        return self.error(place[:-1], place[-1], message, near=near)


def parse_size(text: str) -> int:
    """Return the bytes that `text`, such as "200GB", stands for.

    Raises:
        UsageError: it is not like that ("bad-size").
    """
    number = text.rstrip("BkMGT")
    unit = text[len(number) :]
    if not (number.isascii() and number.isdigit() and unit in SIZES):
        message = f"'{shown(text)}' is not a size."
        raise UsageError("bad-size", message, f"It is {_SIZE_TEXT}.")
    return int(number) * SIZES[unit]


def _parsed_moment(text: str) -> date | None:
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    return None


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'" if close else ""


def _pattern_text(key: Key) -> str:
    if key.kind == "duration":
        return "it is a number and s, h, d or w, such as 90d"
    if key.kind == "size":
        return f"it is {_SIZE_TEXT}"
    return "it is the name of a hash, a colon and hex, such as sha256:9f86…"


def _shown_key(name: str | int) -> str:
    return f"'{shown(str(name))}'"


def _line_of(text: str, place: Place, key: str | None) -> int | None:
    """Return the line of `key` in the table at `place`, or of its header; parsers tell neither.

    The line is for people: in other spellings (inline tables, dotted keys, JSON) the first line
    with the word must do.
    """
    wanted = ".".join(str(one) for one in place)
    table, numbers, header = "", dict[str, int](), None
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if match := _HEADER.match(line):
            table = match[2].replace('"', "").replace("'", "").replace(" ", "")
            if match[1] == "[[":
                numbers[table] = numbers.get(table, -1) + 1
                table = f"{table}.{numbers[table]}"
            if table == wanted:
                header = number
            if key is not None and table == (f"{wanted}.{key}" if wanted else key):
                return number
        elif table == wanted and key is not None:
            found = _KEY.match(line)
            if found and found[1].strip("\"'") == key:
                return number
    if header is not None or key is None:
        return header
    return next((number for number, line in enumerate(lines, 1) if key in line), None)
