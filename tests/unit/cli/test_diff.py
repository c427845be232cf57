# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json

import pytest
from in_process import invoke


def run(*arguments):
    return invoke(*arguments)


@pytest.fixture
def models(tmp_path):
    for name, files in {"old": {"a": "1", "b": "2", "c": "3"}, "new": {"a": "1", "b": "x"}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    (tmp_path / "new" / "d").write_text("4")
    return tmp_path / "old", tmp_path / "new"


def test_diff_names_what_differs(models):
    done = run("diff", *models)
    assert (done.exit_code, done.output.split()) == (
        1, ["added", "d", "changed", "b", "missing", "c"],
    )  # fmt: skip
    said = json.loads(run("diff", *models, "--format", "json").output)
    assert (said["added"], said["changed"], said["missing"]) == (["d"], ["b"], ["c"])
    assert run("diff", models[0], models[0]).exit_code == 0
    assert run("diff", models[0] / "a", models[1] / "a").exit_code == 0
    assert run("diff", models[0] / "a", models[1] / "b").exit_code == 1


def test_digest_is_the_root_of_the_manifest(models):
    digests = b"".join(hashlib.sha256(text).digest() for text in (b"1", b"2", b"3"))
    root = f"sha256:{hashlib.sha256(digests).hexdigest()}"
    assert run("digest", models[0]).output.splitlines()[0] == root
    assert json.loads(run("digest", models[0], "--format", "json").output)["root"] == root
    assert run("digest", models[0] / "missing").exit_code == 2
