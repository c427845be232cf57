# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import ModelSealError, shown


@given(st.text() | st.binary().map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_shown_is_one_bounded_printable_line(text: str) -> None:
    said = shown(text)
    assert len(said) <= 200
    assert said.isprintable()
    said.encode()  # no lone surrogates


def test_shown_escapes_what_would_forge_a_line_or_turn_it_around() -> None:
    assert shown("a\nb\x1b[2J\u202ec") == "a\\nb\\x1b[2J\\u202ec"
    assert shown(b"\xff") == "\\udcff"
    assert shown("x" * 1000).endswith("…")


def test_an_error_prints_its_sentence_and_its_code() -> None:
    assert str(ModelSealError("some-code", "Something.", "Do this.")) == "Something. [some-code]"
