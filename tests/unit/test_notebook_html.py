# SPDX-License-Identifier: Apache-2.0
"""What notebooks show is readable on light and on dark pages, and shows when a model was signed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from modelseal import notebook
from modelseal.model.diff import ManifestDiff, Sizes
from modelseal.policy.verdict import Check, Verdict
from modelseal.signing.signed import Signed
from modelseal.trust.signer import Signer

PAGES = ("#ffffff", "#111111")  # JupyterLab's
ALICE = Signer("alice@example.com", "https://issuer.example")
NASTY = "<b onload=x>\n\u202e" + "x" * 2000


def luminance(colour):
    """Return the relative luminance of `colour` (WCAG 2.1)."""
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


class Styles(HTMLParser):
    """The styles of all elements, each as a dictionary, the tags, and the text."""

    def __init__(self, html):
        super().__init__()
        self.styles, self.tags, self.text = [], set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        pairs = (one.split(":") for one in (dict(attributes).get("style") or "").split(";") if one)
        self.styles.append(dict(pairs))

    def handle_data(self, data):
        self.text += data


def signed(time=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)):
    return Signed(Path(NASTY), Path("model/model.sig"), "oms", ALICE, time, 7, 2, ("w.bin",))


SHOWN = [
    signed(),
    ManifestDiff(("a",), (NASTY,), (), (Sizes("a", 1, 2), Sizes(NASTY, None, 3))),
    *(
        Verdict(
            status, NASTY, "some-code", NASTY, NASTY,
            checks=(Check("a", passed=True, detail=NASTY), Check("b", passed=False, detail="x")),
            diff=ManifestDiff(("a",)), trust=NASTY,
        )
        for status in ("accepted", "refused", "undecided")
    ),
]  # fmt: skip


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: type(shown).__name__)
def test_text_has_the_colour_of_the_page_or_enough_contrast_of_its_own(shown):
    for style in Styles(shown._repr_html_()).styles:
        colour, background = style.get("color", "inherit"), style.get("background", "none")
        if colour != "inherit" or background != "none":
            assert contrast(colour, background) >= 4.5
        if "border-left" in style:
            (bar,) = re.findall(r"#\w+", style["border-left"])
            assert min(contrast(bar, page) for page in PAGES) >= 3


@pytest.mark.parametrize("shown", SHOWN, ids=lambda shown: type(shown).__name__)
def test_names_are_hostile_and_long(shown):
    page = Styles(shown._repr_html_())
    assert page.tags <= {"div", "p", "b", "code", "table", "tr", "th", "td"}
    assert "onload" not in str(page.styles)
    assert "\u202e" not in page.text
    assert "x" * 1000 not in page.text


def test_every_colour_is_used_with_white_text():
    for colour in notebook.COLOURS.values():
        assert contrast("#fff", colour) >= 4.5


def test_a_signature_shows_when_it_was_made():
    assert "2026-03-04 05:06:07 UTC" in Styles(signed()._repr_html_()).text
    assert "not witnessed" in Styles(signed(time=None)._repr_html_()).text
    assert signed().to_dict()["time"] == "2026-03-04T05:06:07+00:00"
