# SPDX-License-Identifier: Apache-2.0
"""HTML for notebooks that can be read on light and on dark pages.

Text and background are those of the page. Colour is only where both colours are ours: white on a
badge that is dark enough for it, with a contrast of 4.5 and more (WCAG 2.1, 1.4.3), and a bar at
the side that stands out from black and from white (3 and more, 1.4.11).
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Literal

from modelseal.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    Colour = Literal["green", "red", "amber"]

COLOURS: dict[Colour, str] = {"green": "#1a7f37", "red": "#cf222e", "amber": "#9a6700"}

_LONGEST = 500  # characters of a text
_CELL = "text-align:left;vertical-align:top"
_WRAPPED = "overflow-wrap:anywhere"  # a long name never widens the page


def text(value: str) -> str:
    """Return `value` as HTML: names of files are hostile."""
    return escape(shown(value, _LONGEST))


def code(value: str) -> str:
    """Return `value` as HTML, in the type of code and the colours of the page."""
    return f'<code style="color:inherit;background:none;{_WRAPPED}">{text(value)}</code>'


def number(value: str) -> str:
    """Return `value` as HTML that stands below other numbers of its column."""
    return f'<div style="text-align:right;white-space:nowrap">{text(value)}</div>'


def panel(colour: Colour, word: str, title: str, *parts: str) -> str:
    """Return a panel of this `colour`: a badge with `word`, a title, and below it HTML `parts`."""
    badge = (
        f'<b style="color:#fff;background:{COLOURS[colour]};padding:1px 6px;border-radius:3px">'
        f"{text(word)}</b>"
    )
    return (
        f'<div style="color:inherit;border-left:4px solid {COLOURS[colour]};padding-left:10px">'
        f"<p>{badge} {code(title)}</p>{''.join(parts)}</div>"
    )


def paragraph(html: str) -> str:
    """Return a paragraph of `html`."""
    return f"<p>{html}</p>"


def table(rows: Iterable[tuple[str, ...]], heads: tuple[str, ...] = ()) -> str:
    """Return a table of rows of HTML cells; without `heads` the first cell of each is its head."""
    lines = [_row(heads, "th", "th")] if heads else []
    lines += [_row(row, "td" if heads else "th", "td") for row in rows]
    return f'<table style="color:inherit">{"".join(lines)}</table>'


def _row(cells: tuple[str, ...], first: str, other: str) -> str:
    kinds = (first, *(other for _ in cells[1:]))
    styles = (*(_CELL for _ in cells[1:]), f"{_CELL};{_WRAPPED}")
    inside = "".join(
        f'<{kind} style="{style}">{cell}</{kind}>'
        for kind, style, cell in zip(kinds, styles, cells, strict=True)
    )
    return f"<tr>{inside}</tr>"
