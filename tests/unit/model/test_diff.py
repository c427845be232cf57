# SPDX-License-Identifier: Apache-2.0
"""What differs, with sizes, as a sentence, a listing, JSON and HTML."""

from __future__ import annotations

import json
import pickle
from html.parser import HTMLParser

import pytest

from modelseal.formats import oms
from modelseal.model import manifest
from modelseal.model.diff import ManifestDiff, Sizes, compare, size_text


class Text(HTMLParser):
    """What a browser would show, and the tags it would make."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said, self.tags = "", set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.said += data


def measured(folder, **how):
    return manifest.of_folder(folder, how=oms.serialization(**how))


@pytest.fixture
def models(tmp_path):
    files = {
        "old": {"same": 3, "grown": 5, "swapped": 7, "gone": 11, "a:b": 15},
        "new": {"same": 3, "grown": 9, "swapped": 7, "come": 13, "a:b": 15},
    }
    for folder, sizes in files.items():
        (tmp_path / folder).mkdir()
        for name, size in sizes.items():
            fill = b"x" if folder == "new" and name == "swapped" else b"0"
            (tmp_path / folder / name).write_bytes(fill * size)
    return tmp_path / "old", tmp_path / "new"


def test_sizes_of_both_where_both_are_at_hand(models):
    old, new = map(measured, models)
    found = compare(old, new)
    assert found[:4] == (
        ("grown", "swapped"), ("come",), ("gone",),
        (("come", None, 13), ("gone", 11, None), ("grown", 5, 9), ("swapped", 7, 7)),
    )  # fmt: skip
    assert str(found) == "changed: 'grown', 'swapped'; added: 'come'; missing: 'gone'"
    assert not compare(old, old)


def test_a_manifest_by_files_does_not_say_what_a_file_measured(models):
    old, new = map(measured, models)
    found = compare(manifest.Contents(old.manifest), new)
    assert [(s.name, s.old, s.new) for s in found.sizes] == [
        ("come", None, 13), ("gone", None, None), ("grown", None, 9), ("swapped", None, 7),
    ]  # fmt: skip
    assert found.to_dict()["sizes"]["gone"] == {"old": None, "new": None}


@pytest.mark.parametrize("shard", [1, 4, 5, 100])
def test_shards_are_told_by_the_file_and_say_its_size(models, shard):
    old, new = (manifest.Contents(measured(f, shard_size=shard).manifest) for f in models)
    by_files = compare(*map(measured, models))
    found = compare(old, new)
    assert found[:3] == by_files[:3]
    assert [(s.name, s.old, s.new) for s in found.sizes] == [
        ("come", None, 13), ("gone", 11, None), ("grown", 5, 9), ("swapped", 7, 7),
    ]  # fmt: skip


def test_ten_thousand_files_are_a_short_text_and_a_whole_value():
    names = tuple(f"layers/{n:05}/{'w' * 300}.bin" for n in range(10_000))
    found = ManifestDiff(names, sizes=tuple(Sizes(n, None, 10 ** n.count("1")) for n in names))
    assert len(str(found)) < 500
    assert str(found).endswith("and 9,997 more")
    assert len(list(found.listing())) == 21
    assert list(found.listing(3))[-1] == ("changed", 9_997)
    assert len(found._repr_html_()) < 21 * 700
    assert "and 9,980 more" in found._repr_html_()
    assert len(json.loads(json.dumps(found.to_dict()))["sizes"]) == 10_000
    assert pickle.loads(pickle.dumps(found)) == found


def test_names_are_hostile():
    name = '<script>alert(1)</script>"\n\x1b[31m\u202e&'
    found = ManifestDiff(added=(name,), sizes=(Sizes(name, None, 0),))
    page = Text(found._repr_html_())
    assert page.tags == {"table", "tr", "th", "td", "code", "div"}
    assert "<script>alert(1)</script>" in page.said
    for text in (str(found), page.said):
        assert "\\n\\x1b[31m\\u202e" in text
        assert not {"\n", "\x1b", "\u202e"} & set(text)
    assert "0 B" in page.said  # an empty file is not an unknown size


def test_nothing_differs():
    assert (str(ManifestDiff()), ManifestDiff()._repr_html_(), list(ManifestDiff().listing())) == (
        "", "", [],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1234, "1.23 kB"), (999_499, "999 kB"),
        (999_500, "1 MB"), (12_345_678, "12.3 MB"), (5 * 10**12, "5 TB"), (2**64, "18.4 EB"),
        (10**24, "1e+06 EB"),
    ],
)  # fmt: skip
def test_sizes_for_people(size, text):
    assert size_text(size) == text


def test_sizes_that_round_to_the_same_are_told_exactly():
    assert str(Sizes("a", 1_200_000_001, 1_200_000_055)) == "1,200,000,001 B -> 1,200,000,055 B"
    assert str(Sizes("a", 1_200_000_001, None)) == "1.2 GB"
    assert str(Sizes("a", None, None)) == ""
