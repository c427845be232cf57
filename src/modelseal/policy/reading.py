# SPDX-License-Identifier: Apache-2.0
"""Reads tables of the policy document by `schema`, and says on which line a mistake is."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from modelseal.errors import FormatError, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelseal.policy.schema import Key

    # Where a table is: names, and behind the name of an array of tables its number.
    Place = tuple[str | int, ...]

HINT = "See docs/policy.md."
_UNITS = {"s": 1, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
_END_OF_DAY = time(23, 59, 59, 999_999, UTC)
_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)\s*[=.:]""")


class Reader:
    """Turns tables into Python values; keeps the text only to name lines in errors."""

    def __init__(self, text: str) -> None:
        self._text = text

    def table(self, value: object, keys: Mapping[str, Key], place: Place) -> dict[str, Any]:
        """Return the table `value` with its values as tuples, times and so on.

        Raises:
            FormatError: it has not just these keys, or a value of another kind.
        """
        if not isinstance(value, dict):
            self.fail(place[:-1], place[-1], f"{_shown_key(place[-1])} must be a table")
        for name in value:
            if name not in keys:
                self._unknown(name, keys, place)
        for name, key in keys.items():
            if key.required and name not in value:
                self.fail(place, None, f"{_shown_place(place)} has no '{name}'")
        return {name: self._value(one, keys[name], (*place, name)) for name, one in value.items()}

    def check_name(self, name: str, known: Iterable[str], place: Place, key: str) -> None:
        """Check that the signer `name` is among those `known`.

        Raises:
            FormatError: it is not.
        """
        known = list(known)
        if name not in known:
            said = f"The signer '{shown(name)}' is not defined{_nearest(name, known)}"
            self.fail(place, key, said)

    def fail(self, place: Place, key: str | int | None, message: str, hint: str = HINT) -> NoReturn:
        """Raise the error `message` about `key` of the table at `place`, with its line.

        Raises:
            FormatError: always.
        """
        line = _line_of(self._text, place, None if key is None else str(key))
        suffix = f" (line {line})" if line else ""
        raise FormatError("bad-policy", f"{message}{suffix}.", hint)

    def _unknown(self, name: str, keys: Iterable[str], place: Place) -> NoReturn:
        where = f" of {_shown_place(place)}" if place else ""
        message = f"The policy has an unknown key '{shown(name)}'{where}{_nearest(name, keys)}"
        self.fail(place, name, message)

    def _value(self, value: object, key: Key, place: Place) -> Any:
        """Return `value` as what the schema says of `key`."""
        match key.kind:
            case "table":
                return self.table(value, key.table or {}, place)
            case "tables":
                items = self._list(value, place, "tables, [[...]]")
                return [self.table(one, key.table or {}, (*place, n)) for n, one in items]
            case "named tables":
                tables = self._kind(value, dict, place, "a table")
                return {n: self.table(one, key.table or {}, (*place, n)) for n, one in tables.items()}
            case "texts":
                return self._texts(value, key, place)
            case "text or texts":
                return self._texts([value] if isinstance(value, str) else value, key, place)
            case "text":
                return self._text_value(value, key, place)
            case "integer":
                number = self._kind(value, int, place, "an integer")
                if number < 0:
                    self._wrong(place, "must not be negative")
                return self._chosen(number, key, place)
            case "boolean":
                return self._kind(value, bool, place, "true or false")
            case "moment":
                return self._moment(value, place)
            case _:
                text = self._text_value(value, key, place)
                return timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])

    def _texts(self, value: object, key: Key, place: Place) -> tuple[str, ...]:
        what = "a list of strings, at least one"
        items = self._list(value, place, what)
        if not items:
            self._wrong(place, f"must be {what}")
        return tuple(self._text_value(one, key, place, what) for _, one in items)

    def _text_value(self, value: object, key: Key, place: Place, what: str = "a string") -> str:
        text = self._kind(value, str, place, what)
        if not text:
            self._wrong(place, f"must be {what}, not an empty one")
        if key.pattern and not re.fullmatch(key.pattern, text):
            self._wrong(place, f"must not be '{shown(text)}': {_pattern_text(key)}")
        chosen: str = self._chosen(text, key, place)
        return chosen

    def _chosen(self, value: Any, key: Key, place: Place) -> Any:
        if key.choices and value not in key.choices:
            known = ", ".join(str(one) for one in key.choices)
            near = _nearest(str(value), [str(one) for one in key.choices])
            choices = f"must be {known}" if len(key.choices) == 1 else f"must be one of {known}"
            self._wrong(place, f"{choices}, not '{shown(str(value))}'{near}")
        return value

    def _moment(self, value: object, place: Place) -> datetime:
        """Return a time, UTC; a date is its first moment, as the end of a period its last."""
        if isinstance(value, str):
            value = self._parsed_moment(value, place)
        if isinstance(value, datetime):
            if value.tzinfo is None:
                self._wrong(place, "must have a time zone, such as a Z at the end")
            return value.astimezone(UTC)
        if isinstance(value, date):
            last = place[-1] == "not_after"
            return datetime.combine(value, _END_OF_DAY if last else time(0, tzinfo=UTC))
        self._wrong(place, "must be a date or a time, such as 2026-01-31 or 2026-01-31T12:00:00Z")

    def _parsed_moment(self, text: str, place: Place) -> date:
        for parse in (date.fromisoformat, datetime.fromisoformat):
            try:
                return parse(text)
            except ValueError:
                continue
        self._wrong(place, f"must be a date or a time, not '{shown(text)}'")

    def _list(self, value: object, place: Place, what: str) -> list[tuple[int, object]]:
        items: list[object] = self._kind(value, list, place, what)
        return list(enumerate(items))

    def _kind(self, value: object, kind: type[Any], place: Place, what: str) -> Any:
        if type(value) is not kind:  # True is no integer
            self._wrong(place, f"must be {what}")
        return value

    def _wrong(self, place: Place, message: str) -> NoReturn:
        self.fail(place[:-1], place[-1], f"The policy's {_shown_key(place[-1])} {message}")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def _pattern_text(key: Key) -> str:
    if key.kind == "duration":
        return "it is a number and s, h, d or w, such as 90d"
    return "it is the name of a hash, a colon and hex, such as sha256:9f86…"


def _shown_key(name: str | int) -> str:
    return f"'{shown(str(name))}'"


def _shown_place(place: Place) -> str:
    """Return the header of a table, for people."""
    if not place:
        return "The policy"
    names = [str(one) for one in place if isinstance(one, str)]
    header = shown(".".join(names))
    return f"[[{header}]]" if isinstance(place[-1], int) else f"[{header}]"


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
