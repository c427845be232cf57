# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json
import os

import numpy as np
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
    assert (done.exit_code, done.output.splitlines()) == (
        1, ["changed  1 B  b", "added    1 B  d", "missing  1 B  c"],
    )  # fmt: skip
    said = json.loads(run("diff", *models, "--format", "json").output)
    assert (said["added"], said["changed"], said["missing"]) == (["d"], ["b"], ["c"])
    assert said["sizes"]["c"] == {"old": 1, "new": None}
    done = run("diff", models[0], models[0])
    assert (done.exit_code, done.output) == (0, "no difference\n")
    assert run("diff", models[0] / "a", models[1] / "a").exit_code == 0
    assert run("diff", models[0] / "a", models[1] / "b").exit_code == 1


def test_tensors_are_shown_under_their_file(models):
    for folder, end in zip(models, (2, 3), strict=True):
        np.savez(folder / "w.npz", same=np.ones(2), grown=np.arange(float(end)))
        (folder / "bad.gguf").write_bytes(b"GGUF" * end)
    done = run("diff", *models)
    assert done.exit_code == 1
    assert "  changed  144 B -> 152 B  grown.npy" in done.output
    assert (
        "not compared by tensor: The GGUF file does not begin as one" in done.output
    )  # and all else is told
    assert "(the old one)" in done.output
    assert "missing" in done.output
    said = json.loads(run("diff", *models, "--format", "json").output)
    assert said["tensors"]["w.npz"]["changed"] == ["grown.npy"]
    assert said["tensors"]["bad.gguf"]["code"] == "bad-gguf"


def test_tensors_that_are_only_stored_in_another_way(models):
    np.savez(models[0] / "w.npz", a=np.ones(9))
    np.savez_compressed(models[1] / "w.npz", a=np.ones(9))
    assert "the same tensors, stored in another way" in run("diff", *models).output


@pytest.mark.parametrize("options", [(), ("--shard-size", 1), ("--hash-type", "blake3")])
def test_what_digest_printed_stands_for_the_model(models, options):
    lists = []
    for folder in models:
        done = run("digest", folder, "--format", "json", *options)
        lists.append(folder.parent / f"{folder.name}.json")
        lists[-1].write_text(done.output)
    whole = run("diff", *models).stdout
    assert run("diff", *lists).stdout == whole
    assert run("diff", lists[0], models[1]).stdout == whole
    assert run("diff", models[0], lists[1]).stdout == whole
    assert run("diff", lists[0], models[0]).exit_code == 0
    assert "believed unchecked" in run("diff", lists[0], models[0]).stderr


def test_lists_by_different_hashes_are_not_compared(models):
    lists = []
    for hash_type in ("sha256", "blake2b"):
        lists.append(models[0].parent / hash_type)
        done = run("digest", models[0], "--format", "json", "--hash-type", hash_type)
        lists[-1].write_text(done.output)
    for pair in (lists, (models[0], models[1] / "b")):
        done = run("diff", *pair)
        assert (done.exit_code, "not-comparable" in done.output) == (2, True)


def test_a_bundle_stands_for_what_was_signed_and_is_not_believed_silently(models, tmp_path):
    assert run("key", "generate", tmp_path / "k.key").exit_code == 0
    for path in (models[0], models[0] / "a"):
        assert run("sign", path, "--key", tmp_path / "k.key").exit_code == 0
    done = run("diff", models[0] / "model.sig", models[1])
    assert done.stdout.splitlines() == ["changed  1 B  b", "added    1 B  d", "missing       c"]
    assert "believed unchecked" in done.stderr
    assert "believed unchecked" not in run("diff", *models).stderr
    (models[0] / "a.sigstore.json").rename(tmp_path / "a.sigstore.json")
    assert run("diff", models[0] / "model.sig", models[0]).exit_code == 0
    one = tmp_path / "a.sigstore.json"
    assert run("diff", one, models[0] / "a").exit_code == 0
    done = run("diff", one, models[0] / "b")
    assert (done.exit_code, done.stdout) == (1, "changed  1 B  b\n")
    assert run("diff", one, models[0]).exit_code == 2


def test_ten_thousand_files_fit_on_a_screen_and_json_has_all(models):
    for number in range(10_000):
        (models[1] / f"layer-{number:05}.bin").touch()
    (models[1] / "a\x1b[31m\n\u202e").touch()
    done = run("diff", *models)
    assert len(done.output.splitlines()) == 23
    assert "added    and 9,982 more (--format json)" in done.output
    assert "a\\x1b[31m\\n\\u202e" in done.output
    assert "\x1b" not in done.output
    assert len(json.loads(run("diff", *models, "--format", "json").output)["added"]) == 10_002


def test_a_name_that_is_not_utf8_is_refused_by_name(models):
    os.mkfifo(os.fsencode(models[1] / "x") + b"\xff\x1b[2J")
    done = run("diff", *models)
    assert done.exit_code == 1
    assert "name-not-utf8" in done.output
    assert "\x1b" not in done.output


def test_digest_is_the_root_of_the_manifest(models):
    digests = b"".join(hashlib.sha256(text).digest() for text in (b"1", b"2", b"3"))
    root = f"sha256:{hashlib.sha256(digests).hexdigest()}"
    assert run("digest", models[0]).output.splitlines()[0] == root
    assert json.loads(run("digest", models[0], "--format", "json").output)["root"] == root
    assert run("digest", models[0] / "missing").exit_code == 2
    assert "  blake3:" in run("digest", models[0], "--hash-type", "blake3").output
