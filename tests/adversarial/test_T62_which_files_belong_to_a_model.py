# SPDX-License-Identifier: Apache-2.0
"""`verify` and a server agree on which files belong to a model."""

from __future__ import annotations

import json

import pytest
from in_process import invoke

import modelseal
from modelseal.errors import ModelSealError


@pytest.fixture
def judged(tmp_path):
    """Give a function that returns what `verify` and `load` say of the model, by key."""
    assert invoke("key", "generate", tmp_path / "k.key").exit_code == 0
    key = tmp_path / "k.pub"

    def both(model, **request) -> tuple[str, str, list[str]]:
        verdict = modelseal.verify(model, key=key, **request)
        try:
            with modelseal.load(model, key=key, **request) as copy:
                files = (p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file())
                return verdict.code, "accepted", sorted(files)
        except ModelSealError as error:
            return verdict.code, error.code, []

    return both


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    for name in ("a", "sub/b", ".gitattributes", "notes.md"):
        (folder / name).write_text(name)
    return folder


def sign(model, *options):
    done = invoke("sign", model, "--key", model.parent / "k.key", *options)
    assert done.exit_code == 0, done.output


def test_files_of_a_checkout_that_nobody_signed(judged, model):
    sign(model)
    assert judged(model) == ("accepted", "accepted", ["a", "notes.md", "sub/b"])


def test_a_file_of_a_checkout_that_was_signed(judged, model, tmp_path):
    done = invoke("digest", model, "--format", "json")
    listed = json.loads(done.stdout)
    digest = invoke("digest", model / ".gitattributes", "--format", "json")
    (file,) = json.loads(digest.stdout)["files"]
    listed["files"].append(file)
    listed["serialization"]["ignore_paths"].remove(".gitattributes")
    del listed["root"]
    (tmp_path / "known.json").write_text(json.dumps(listed))
    sign(model, "--manifest", tmp_path / "known.json", "--bundle", model / "model.sig")
    files = [".gitattributes", "a", "notes.md", "sub/b"]
    assert judged(model) == ("accepted", "accepted", files)
    (model / ".gitattributes").write_text("changed")
    assert judged(model) == ("digest-mismatch", "digest-mismatch", [])


def test_what_the_signer_left_out_is_not_loaded(judged, model):
    sign(model, "--ignore-path", model / "notes.md", "--ignore-path", model / "sub")
    assert judged(model) == ("accepted", "accepted", ["a"])
    (model / "sub" / "evil.py").write_text("import os")
    assert judged(model) == ("accepted", "accepted", ["a"])


def test_several_bundles(judged, model):
    assert invoke("key", "generate", model.parent / "other.key").exit_code == 0
    done = invoke("sign", model, "--key", model.parent / "other.key")
    assert done.exit_code == 0, done.output
    sign(model, "--add")
    assert judged(model) == ("accepted", "accepted", ["a", "notes.md", "sub/b"])


@pytest.mark.parametrize("extra", [".DS_Store", "sub/.DS_Store", "c"])
def test_a_file_that_nobody_signed(judged, model, extra):
    sign(model)
    (model / extra).write_text("extra")
    assert judged(model) == ("digest-mismatch", "digest-mismatch", [])
    accepted = judged(model, ignore_unsigned=["*.DS_Store"])
    files = ["a", "notes.md", "sub/b"]
    assert accepted == (
        ("digest-mismatch", "digest-mismatch", [])
        if extra == "c"
        else ("accepted", "accepted", files)
    )
