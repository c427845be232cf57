# SPDX-License-Identifier: Apache-2.0
"""Several signatures over one model: added, listed, counted."""

from __future__ import annotations

import shutil

import pytest
from in_process import answers, invoke

NAMES = ("alice", "bob", "carol")


def run(*arguments):
    return invoke(*arguments)


@pytest.fixture
def keys(tmp_path):
    for name in NAMES:
        assert run("key", "generate", tmp_path / f"{name}.key").exit_code == 0
    return tmp_path


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_text("weights")
    return folder


def sign(keys, model, name, *options):
    done = run("sign", model, "--key", keys / f"{name}.key", *options)
    assert done.exit_code == 0, done.output


def verdict(keys, model, *names, threshold=None):
    options = [o for name in names for o in ("--key", keys / f"{name}.pub")]
    if threshold is not None:
        options += ["--threshold", threshold]
    done = run("verify", model, *options, "--format", "json")
    return done.exit_code, answers(done.stdout)


def code(keys, model, *names, threshold=None):
    exit_code, said = verdict(keys, model, *names, threshold=threshold)
    (one,) = said
    return exit_code, one["code"]


@pytest.fixture(params=["folder", "file"])
def target(request, model):
    return model if request.param == "folder" else model / "a"


def test_two_of_three(keys, target):
    sign(keys, target, "alice")
    assert code(keys, target, *NAMES, threshold=2) == (1, "too-few-signers")
    sign(keys, target, "bob", "--add")
    assert code(keys, target, *NAMES, threshold=2) == (0, "accepted")
    assert code(keys, target, *NAMES) == (1, "too-few-signers")
    sign(keys, target, "carol", "--add")
    assert code(keys, target, *NAMES) == (0, "accepted")


def test_each_signer_alone_is_found(keys, target):
    sign(keys, target, "alice")
    sign(keys, target, "bob", "--add")
    assert code(keys, target, "alice") == (0, "accepted")
    assert code(keys, target, "bob") == (0, "accepted")
    assert code(keys, target, "carol")[0] == 1


def test_the_same_signer_counts_once(keys, model):
    sign(keys, model, "alice")
    sign(keys, model, "alice", "--add")
    shutil.copy(model / "model.sig", model / "model.sig.3")
    assert code(keys, model, "alice", "bob", threshold=2) == (1, "too-few-signers")
    # nor does a key that is given twice
    shutil.copy(keys / "alice.pub", keys / "again.pub")
    assert code(keys, model, "alice", "again", threshold=2) == (2, "bad-threshold")


@pytest.mark.parametrize("threshold", [0, -1, 3])
def test_a_threshold_that_makes_no_sense(keys, model, threshold):
    sign(keys, model, "alice")
    assert code(keys, model, "alice", "bob", threshold=threshold) == (2, "bad-threshold")


def test_a_changed_model_is_refused_whoever_signed(keys, model):
    sign(keys, model, "alice")
    sign(keys, model, "bob", "--add")
    (model / "a").write_text("other")
    assert code(keys, model, "alice", "bob") == (1, "digest-mismatch")


def test_signatures_of_different_files_do_not_count_together(keys, model):
    sign(keys, model, "alice")
    (model / "model.sig").rename(keys / "alice.sig")
    (model / "b").write_text("more")
    sign(keys, model, "bob")
    (model / "model.sig").rename(model / "model.sig.2")
    (keys / "alice.sig").rename(model / "model.sig")
    assert code(keys, model, "alice", "bob") == (1, "too-few-signers")
    assert code(keys, model, "alice", "bob", threshold=1) == (0, "accepted")


def test_what_another_signer_signed_cannot_be_left_out(keys, model):
    (model / "evil.py").write_text("import os")
    (model / "evil.py").rename(keys / "evil.py")
    sign(keys, model, "alice")
    sign(keys, model, "bob", "--add", "--ignore-path", model / "evil.py")
    assert code(keys, model, "alice", "bob") == (0, "accepted")
    (keys / "evil.py").rename(model / "evil.py")
    assert code(keys, model, "bob") == (0, "accepted")
    assert code(keys, model, "alice", "bob") == (1, "digest-mismatch")


def test_one_adds_only_to_what_was_signed(keys, model):
    sign(keys, model, "alice")
    (model / "a").write_text("other")
    done = run("sign", model, "--key", keys / "bob.key", "--add", "--format", "json")
    assert (done.exit_code, answers(done.stdout)[0]["code"]) == (2, "not-the-same-files")
    assert not (model / "model.sig.2").exists()


def test_ten_are_too_many(keys, model):
    for _ in range(9):
        sign(keys, model, "alice", "--add")
    done = run("sign", model, "--key", keys / "bob.key", "--add", "--format", "json")
    assert (done.exit_code, answers(done.stdout)[0]["code"]) == (2, "too-many-signatures")
    assert code(keys, model, "alice") == (0, "accepted")


def test_a_bundle_of_junk_counts_for_nobody(keys, model):
    sign(keys, model, "alice")
    sign(keys, model, "bob", "--add")
    (model / "model.sig.3").write_bytes(b"junk")
    exit_code, (said,) = verdict(keys, model, "alice", "bob")
    assert exit_code == 0
    assert [c["detail"][:12] for c in said["checks"] if not c["passed"]] == ["model.sig.3:"]


def test_signing_anew_leaves_bundles_out_of_the_manifest(keys, model):
    sign(keys, model, "alice")
    sign(keys, model, "bob", "--add")
    sign(keys, model, "carol", "--overwrite")
    assert code(keys, model, "bob", "carol") == (0, "accepted")


def test_inspect_lists_all(keys, model):
    sign(keys, model, "alice")
    sign(keys, model, "bob", "--add")
    said = answers(run("inspect", model, "--format", "json").stdout)
    assert [one["bundle"] for one in said] == [
        str(model / "model.sig"), str(model / "model.sig.2"),
    ]  # fmt: skip
    assert run("inspect", model).output.count("NOT CHECKED") == 2
    assert len(answers(run("inspect", model / "model.sig.2", "--format", "json").stdout)) == 1


@pytest.mark.parametrize("option", [("--bundle", "model.sig")])
def test_options_for_one_signer_only(keys, model, option):
    sign(keys, model, "alice")
    two = ("--key", keys / "alice.pub", "--key", keys / "bob.pub")
    done = run("verify", model, *two, *option)
    assert (done.exit_code, "[bad-options]" in done.output) == (2, True)
    assert option[0] in done.output


@pytest.mark.parametrize(
    "option",
    [("--overwrite",), ("--update",), ("--bundle", "m.sig"), ("--manifest", "known.json")],
)
def test_a_further_signature_has_its_own_place(keys, model, option):
    sign(keys, model, "alice")
    done = run("sign", model, "--key", keys / "bob.key", "--add", *option)
    assert (done.exit_code, "[bad-options]" in done.output) == (2, True)
    assert option[0] in done.output
