# SPDX-License-Identifier: Apache-2.0
"""DER, the one spelling of ASN.1 values (ITU-T X.690 section 10): what timestamps are made of.

Only what those need: tags of one byte, lengths that are definite and as short as can be.
"""

from __future__ import annotations

from typing import NoReturn

from modelseal.errors import FormatError

BOOLEAN, INTEGER, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x04, 0x05, 0x06
UTF8_STRING, GENERALIZED_TIME, SEQUENCE, SET = 0x0C, 0x18, 0x30, 0x31
_LONG_LENGTH = 0x80
_LONG_TAG = 0x1F


def inside(number: int) -> int:
    """Return the tag [number] of something with elements in it, be it EXPLICIT or IMPLICIT."""
    return 0xA0 | number


def element(tag: int, *contents: bytes) -> bytes:
    """Return the element of `tag` that `contents` make; `Reader` reads it back."""
    content = b"".join(contents)
    length = len(content)
    if length < _LONG_LENGTH:
        return bytes((tag, length)) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_LENGTH | len(digits))) + digits + content


def integer(value: int) -> bytes:
    """Return the INTEGER element of `value`."""
    bits = (~value if value < 0 else value).bit_length()
    return element(INTEGER, value.to_bytes(bits // 8 + 1, "big", signed=True))


class Reader:
    """Reads the elements in `data` one after the other; errors have `code` and name `what`."""

    __slots__ = ("_at", "_code", "_data", "_what")

    def __init__(self, data: bytes, code: str, what: str) -> None:
        self._data = data
        self._code = code
        self._what = what
        self._at = 0

    @property
    def tag(self) -> int | None:
        """Return the tag of the next element, None at the end."""
        return self._data[self._at] if self._at < len(self._data) else None

    def whole(self, tag: int | None = None) -> bytes:
        """Return the next element with its tag and length, which must be of `tag` if given.

        Raises:
            FormatError: there is none, or not in DER.
        """
        start = self._at
        self.content(tag)
        return self._data[start : self._at]

    def content(self, tag: int | None = None) -> bytes:
        """Return the content of the next element; otherwise as `whole`.

        Raises:
            FormatError: as `whole`.
        """
        data, at = self._data, self._at
        if len(data) < at + 2 or (tag is not None and data[at] != tag):
            self.refuse()
        if data[at] & _LONG_TAG == _LONG_TAG:
            self.refuse()
        length, at = data[at + 1], at + 2
        if length >= _LONG_LENGTH:
            digits = data[at : at + length - _LONG_LENGTH]
            at += len(digits)
            length = int.from_bytes(digits, "big")
            if not digits or digits[0] == 0 or length < _LONG_LENGTH:
                self.refuse()
        end = at + length
        if end > len(data):
            self.refuse()
        self._at = end
        return data[at:end]

    def within(self, tag: int) -> Reader:
        """Return a reader of the elements in the next element.

        Raises:
            FormatError: as `whole`.
        """
        return Reader(self.content(tag), self._code, self._what)

    def integer(self) -> int:
        """Return the next element, an INTEGER that is not negative.

        Raises:
            FormatError: as `whole`; a negative number, or one with needless zeros.
        """
        raw = self.content(INTEGER)
        value = int.from_bytes(raw, "big", signed=True)
        if not raw or value < 0 or len(raw) != value.bit_length() // 8 + 1:
            self.refuse()
        return value

    def end(self) -> None:
        """Check that there is no further element.

        Raises:
            FormatError: there is.
        """
        if self._at != len(self._data):
            self.refuse()

    def refuse(self) -> NoReturn:
        """Raise the refusal of what is read.

        Raises:
            FormatError: always.
        """
        raise FormatError(self._code, f"The {self._what} cannot be read.")
