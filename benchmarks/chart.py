# SPDX-License-Identifier: Apache-2.0
"""A chart with two logarithmic axes as SVG; a plotting library would be larger than the project."""

from __future__ import annotations

import math
from typing import NamedTuple

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 50
COLOURS = ("#1f6feb", "#d29922", "#8957e5")


class Series(NamedTuple):
    """A line of the chart."""

    name: str
    points: list[tuple[float, float]]


def chart(across: str, up: str, series: list[Series]) -> str:
    """Return the SVG; `across` and `up` say what the axes measure."""
    xs = [x for one in series for x, _ in one.points]
    ys = [y for one in series for _, y in one.points]
    horizontal = _Axis(xs, LEFT, WIDTH - RIGHT)
    vertical = _Axis(ys, HEIGHT - BOTTOM, TOP)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12" role="img">'
        ),
        f"<title>{up} by {across}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in horizontal.powers:
        x = horizontal.place(10.0**power)
        parts += [
            f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - 32}" text-anchor="middle">{_label(power)}</text>',
        ]
    for power in vertical.powers:
        y = vertical.place(10.0**power)
        parts += [
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_label(power)}</text>',
        ]
    for (name, points), colour in zip(series, COLOURS, strict=False):
        places = [(horizontal.place(x), vertical.place(y)) for x, y in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts += [
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places),
            f'<text x="{LEFT + 10}" y="{TOP + 14}" fill="{colour}">{name}</text>',
        ]
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts += [
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{across}</text>',
        (
            f'<text x="14" y="{HEIGHT / 2}" transform="rotate(-90 14 {HEIGHT / 2})" '
            f'text-anchor="middle">{up}</text>'
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Axis:
    """Powers of ten from the one below all values to the one above, between two places."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        first = math.floor(math.log10(min(values)))
        last = max(math.ceil(math.log10(max(values))), first + 1)
        self.powers = range(first, last + 1)
        self._first, self._last, self._start, self._end = first, last, start, end

    def place(self, value: float) -> float:
        share = (math.log10(value) - self._first) / (self._last - self._first)
        return self._start + share * (self._end - self._start)


def _label(power: int) -> str:
    if power > 3:
        return f"10^{power}"
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"
