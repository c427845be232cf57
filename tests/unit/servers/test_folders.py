# SPDX-License-Identifier: Apache-2.0
"""Which folders are models: by place and name only, bounded, whatever somebody put there."""

from __future__ import annotations

import json

import pytest

from modelseal.errors import FormatError
from modelseal.servers import folders
from modelseal.servers.folders import model_folders


def put(models, *paths, name="x"):
    for path in paths:
        (models / path).mkdir(parents=True, exist_ok=True)
        (models / path / "model-settings.json").write_text(json.dumps({"name": name}))


def found(models):
    return [
        (one.name, one.version, str(one.path.relative_to(models))) for one in model_folders(models)
    ]


def test_models_versions_and_folders_that_keep_order(tmp_path):
    put(tmp_path, "digits", "fraud/1", "fraud/v2.1-rc", "team/a/nested", "team/a/many/10", "7")
    assert found(tmp_path) == [
        ("7", None, "7"),
        ("digits", None, "digits"),
        ("fraud", "1", "fraud/1"),
        ("fraud", "v2.1-rc", "fraud/v2.1-rc"),
        ("many", "10", "team/a/many/10"),
        ("nested", None, "team/a/nested"),
    ]


def test_what_is_no_model_is_not_passed_over(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "unsigned" / "assets").mkdir(parents=True)
    put(tmp_path, "good", "group/1")
    (tmp_path / "group" / "notes").mkdir()
    (tmp_path / "link").symlink_to("good")
    (tmp_path / "group" / "2").symlink_to("1")
    (tmp_path / "file").touch()
    names = [(name, version) for name, version, _ in found(tmp_path)]
    assert names == [
        ("empty", None), ("good", None), ("group", "1"), ("group", "2"), ("link", None),
        ("notes", None), ("unsigned", None),
    ]  # fmt: skip


def test_a_model_is_not_looked_into(tmp_path):
    put(tmp_path, "digits", "digits/inner", "digits/1")
    assert found(tmp_path) == [("digits", None, "digits")]
    put(tmp_path, "signed/inner")
    (tmp_path / "signed" / "model.sig").touch()
    assert found(tmp_path)[1:] == [("signed", None, "signed")]


def test_the_folder_itself_is_one_model(tmp_path):
    (tmp_path / "model-settings.json").write_text(json.dumps({"name": "digits"}))
    (tmp_path / "assets").mkdir()
    assert found(tmp_path) == [("digits", None, ".")]
    put(tmp_path, "other")
    assert [name for name, *_ in found(tmp_path)] == ["assets", "other"]


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b'{"name": 7}', b'{"name": "../x"}', b'{"name": ".git"}', None]
)
def test_the_one_model_says_no_sensible_name(tmp_path, data):
    folder = tmp_path / "mounted"
    folder.mkdir()
    (folder / "model.sig").touch()
    if data is not None:
        (folder / "model-settings.json").write_bytes(data)
    assert found(folder) == [("mounted", None, ".")]


def test_two_folders_for_one_model(tmp_path):
    put(tmp_path, "a/digits", "b/digits", "c/fraud/1", "d/fraud/2")
    ambiguous = {one.name for one in model_folders(tmp_path) if one.is_ambiguous}
    assert ambiguous == {"digits"}
    with pytest.raises(FormatError, match="ambiguous-model"):
        model_folders(tmp_path)[0].check()


def test_bounds(tmp_path, monkeypatch):
    put(tmp_path, "1/2/3/4/5/6")
    assert found(tmp_path) == [("1", None, "1")]  # deeper than anybody looks
    put(tmp_path, *(f"wide/m{n}" for n in range(6)))
    monkeypatch.setattr(folders, "_MAX_ENTRIES", 5)
    assert ("wide", None, "wide") in found(tmp_path)
    monkeypatch.setattr(folders, "_MAX_FOLDERS", 2)
    assert len(found(tmp_path)) == 2
