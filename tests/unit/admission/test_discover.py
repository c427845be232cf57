# SPDX-License-Identifier: Apache-2.0
"""Which models a tree has: every file below it is in one of them, or passed over by a rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelseal.admission import discover as module
from modelseal.admission.discover import discover
from modelseal.errors import FormatError, UsageError


def put(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(root):
    return [path.relative_to(root).as_posix() for path in discover(root)]


def test_signed_folders_and_files(tmp_path):
    put(tmp_path, "a/model.sig", "a/w", "org/b/result.sigstore", "org/b/sub/w", "one.bin",
        "one.bin.sigstore.json", "two.bin", "two.bin.sigstore", "org/c/x.oms.sig")  # fmt: skip
    assert found(tmp_path) == ["a", "one.bin", "org/b", "org/c", "two.bin"]


def test_a_signed_model_is_not_looked_into(tmp_path):
    put(tmp_path, "model.sig", "sub/model.sig", "sub/w")
    assert found(tmp_path) == ["."]
    put(tmp_path, "outer/m/model.sig", "outer/m/sub/model.sig")
    assert found(tmp_path / "outer") == ["m"]


def test_a_model_whose_signature_was_taken_away_is_there(tmp_path):
    put(tmp_path, "a/model.sig", "b/w", "b/sub/w", "c/x.bin", "d/deep/e/w", "d/deep/f/model.sig")
    put(tmp_path, "loose.bin", "one.bin", "one.bin.sigstore.json")
    assert found(tmp_path) == ["a", "b", "c", "d/deep/e", "d/deep/f", "loose.bin", "one.bin"]


def test_what_nobody_can_tell_the_bundle_of_is_there(tmp_path):
    put(tmp_path, "a/x.oms.sig", "a/y.oms.sig", "b/model.sig")
    assert found(tmp_path) == ["a", "b"]


def test_where_nothing_is_signed_it_is_one_model(tmp_path):
    put(tmp_path, "a/w", "b/c/w")
    assert discover(tmp_path) == [tmp_path]
    assert discover(tmp_path / "a" / "w") == [tmp_path / "a" / "w"]
    (tmp_path / "empty").mkdir()
    assert discover(tmp_path / "empty") == [tmp_path / "empty"]


def test_what_belongs_to_signatures_is_no_model(tmp_path):
    put(tmp_path, "a/model.sig", "one.bin", "one.bin.sigstore", "one.bin.sig", "one.bin.crt",
        "one.bin.sigstore.json.2", "gone.bin.sigstore.json")  # fmt: skip
    assert found(tmp_path) == ["a", "one.bin"]


def test_hidden_and_empty_ones_are_passed_over(tmp_path):
    put(tmp_path, "a/model.sig", ".git/x", ".cache/b/model.sig", ".DS_Store", "lost+found/x")
    (tmp_path / "empty" / "er").mkdir(parents=True)
    assert found(tmp_path) == ["a"]


def test_links_to_folders_are_not_followed(tmp_path):
    put(tmp_path, "outside/b/model.sig", "tree/a/model.sig", "tree/one.bin.sigstore.json")
    (tmp_path / "tree" / "b").symlink_to(tmp_path / "outside" / "b")
    (tmp_path / "tree" / "up").symlink_to(tmp_path / "tree")
    (tmp_path / "tree" / "one.bin").symlink_to(tmp_path / "outside" / "b" / "model.sig")
    assert found(tmp_path / "tree") == ["a", "one.bin"]


def test_the_cache_of_a_hub(tmp_path):
    snapshot = "models--org--name/snapshots/0f"
    put(tmp_path, "models--org--name/blobs/aa", "models--org--name/refs/main", "version.txt",
        f"{snapshot}/sub/x", "blobs/00/bb", "models--org--bare/snapshots/1f/x")  # fmt: skip
    (tmp_path / snapshot / "model.sig").symlink_to("../../blobs/aa")
    assert found(tmp_path) == ["models--org--bare", snapshot]
    put(tmp_path, "plain/blobs/x", "plain/snapshots/m/model.sig")
    assert found(tmp_path / "plain") == ["blobs", "snapshots/m"], "only a repository has its own"


def test_how_much_is_looked_at_is_bounded(tmp_path, monkeypatch):
    put(tmp_path, *(f"{number}/x" for number in range(5)))
    monkeypatch.setattr(module, "_MAX_ENTRIES", 9)
    with pytest.raises(FormatError) as error:
        discover(tmp_path)
    assert error.value.code == "too-many-files"
    monkeypatch.setattr(module, "_MAX_ENTRIES", 10)
    assert discover(tmp_path) == [tmp_path]
    put(tmp_path, "a/" * 65 + "x")
    monkeypatch.undo()
    with pytest.raises(FormatError) as error:
        discover(tmp_path)
    assert error.value.code == "too-deep"


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(UsageError):
        discover(tmp_path / "none")


PARTS = ("a", "b", "w.bin", "w.bin.sigstore.json", "model.sig", "x.oms.sig")


@given(st.sets(st.lists(st.sampled_from(PARTS), min_size=1, max_size=4).map("/".join), max_size=8))
def test_every_file_is_in_one_model(tmp_path_factory, names):
    root = tmp_path_factory.mktemp("tree")
    for name in names:
        path = root / name
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            put(root, name)
    models = discover(root)
    assert models == sorted(set(models))
    for path in root.rglob("*"):
        if path.is_file() and not path.name.endswith(".sigstore.json"):
            assert sum(path.is_relative_to(model) for model in models) == 1
