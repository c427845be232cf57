# SPDX-License-Identifier: Apache-2.0
"""The private folder of a download: what it keeps, whose it is, and names that collide."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from modelseal.errors import FormatError, Undecided, UsageError
from modelseal.sources import staging, uri
from modelseal.sources.base import Object, Resolved


class Disk:
    """A source whose files lie on this disk, to the letter of `files`."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def resolve(self) -> Resolved:
        raise NotImplementedError

    def download(self, one: Object, folder: Path, count) -> Path:
        path = folder / sha256(one.name.encode()).hexdigest()  # several threads come here
        path.write_bytes(self.files[one.name])
        count(len(self.files[one.name]))
        return path


@pytest.fixture
def place(tmp_path):
    with staging.opened(tmp_path / "model") as opened:
        opened.prepare("v1")
        yield opened


def objects(*names: str) -> list[Object]:
    return [Object(name, 1) for name in names]


def test_it_is_private_and_of_one_process(tmp_path):
    with staging.opened(tmp_path / "model") as opened:
        assert opened.path.stat().st_mode & 0o777 == 0o700
        with pytest.raises(Undecided) as caught, staging.opened(tmp_path / "model"):
            pass
        assert caught.value.code == "fetch-in-progress"
    with staging.opened(tmp_path / "model"):
        pass


def test_a_folder_that_others_can_write_is_not_used(tmp_path):
    (tmp_path / ".model.fetch").mkdir(mode=0o777)
    (tmp_path / ".model.fetch").chmod(0o777)
    with pytest.raises(UsageError) as caught, staging.opened(tmp_path / "model"):
        pass
    assert caught.value.code == "staging-not-private"


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".model.fetch").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Undecided) as caught, staging.opened(tmp_path / "model"):
        pass
    assert caught.value.code == "cannot-write"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_two_names_that_are_one_file(place):
    """As on a file system that takes `A` and `a` for the same: the second finds the first."""
    place.settle(part(place), "weights")
    with pytest.raises(FormatError) as caught:
        place.settle(part(place), "weights")
    assert caught.value.code == "name-collision"


def test_a_name_that_the_file_system_changed(place):
    place.settle(part(place), "Weights")
    with pytest.raises(FormatError) as caught:
        place.check_names(objects("weights"))
    assert caught.value.code == "name-collision"


def test_a_folder_where_a_file_should_be(place):
    place.settle(part(place), "a/b")
    with pytest.raises(FormatError) as caught:
        place.settle(part(place), "a")
    assert caught.value.code == "name-collision"
    with pytest.raises(OSError):  # noqa: PT011 - and the command line says what it means
        place.settle(part(place), "a/b/c")


def part(place) -> Path:
    path = place.parts / "part"
    path.write_bytes(b"x")
    return path


def test_another_revision_begins_anew(place):
    place.settle(part(place), "weights")
    place.prepare("v1")
    assert place.has(Object("weights", 1))
    assert not place.has(Object("weights", 2))
    place.prepare("v2")
    assert not place.has(Object("weights", 1))


def test_what_is_whole_is_not_asked_for_again(place):
    counted = []
    source = Disk({"a": b"a", "b": b"b"})
    staging.download(source, place, objects("a", "b"), counted.append)
    assert sum(counted) == 2
    source.files.clear()
    staging.download(source, place, objects("a", "b"), counted.append)
    assert sum(counted) == 4


def test_one_failure_ends_all(place):
    with pytest.raises(KeyError):
        staging.download(Disk({"a": b"a"}), place, objects("a", "missing"), lambda _: None)


def test_somebody_was_faster(tmp_path, place):
    place.settle(part(place), "weights")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(UsageError) as caught:
        place.publish(tmp_path / "model")
    assert caught.value.code == "already-exists"
    assert (tmp_path / "model" / "mine").read_text() == "mine"


@pytest.mark.parametrize("names", [["a", "a"], ["a/../b"], ["/a"], ["a\\b"], ["a" * 5000], ["."]])
def test_names_that_no_model_has(names):
    with pytest.raises(FormatError) as caught:
        staging.checked(objects(*names), 10)
    assert caught.value.code in {"unsafe-name", "name-collision"}


def test_too_many_files():
    with pytest.raises(FormatError) as caught:
        staging.checked(objects("a", "b", "c"), 2)
    assert caught.value.code == "too-many-files"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://org/name", True), ("models:/name/1", True), ("s3://b/k", True),
        ("anything://x", True), ("C:/models", False), ("models/name", False), ("a:b", False),
        ("./hf:/x", False), ("", False), (Path("hf://org/name"), False),
    ],
)  # fmt: skip
def test_what_is_a_uri(text, expected):
    assert uri.is_uri(text) is expected
