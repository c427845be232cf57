# SPDX-License-Identifier: Apache-2.0
"""A refused verdict has the sizes of what differs, as JSON and in its table."""

from __future__ import annotations

import os

import pytest
from in_process import answers
from in_process import invoke as run
from verifying import check_by

from modelseal.model import manifest, tree
from modelseal.trust import keys
from modelseal.verification.believed import TrustedKey


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name, size in (("grown", 1000), ("gone", 2000), ("same", 3000)):
        (folder / name).write_bytes(bytes(size))
    assert run("key", "generate", tmp_path / "k.key").exit_code == 0
    return folder


def tampered(model, *options):
    done = run("sign", model, "--key", model.parent / "k.key", *options)
    assert done.exit_code == 0, done.output
    (model / "grown").write_bytes(bytes(1234))
    (model / "gone").unlink()
    (model / "come <b>").write_bytes(bytes(5678))


def as_json(model, key):
    done = run("verify", model, "--key", key, "--format", "json")
    (said,) = answers(done.stdout)
    assert (done.exit_code, said["code"]) == (1, "digest-mismatch")
    return said["diff"]


@pytest.mark.parametrize(("options", "known"), [((), False), (("--shard-size", 300), True)])
def test_json_has_the_sizes_that_are_known(model, options, known):
    tampered(model, *options)
    # A file is missing, so that nothing is read: of one that grew only shards tell without that.
    grown = {"grown": {"old": 1000, "new": 1234}} if known else {}
    assert as_json(model, model.parent / "k.pub") == {
        "changed": ["grown"] if known else [],
        "unread": 1 if known else 2,
        "added": ["come <b>"],
        "missing": ["gone"],
        "ignored_unsigned": [],
        "lfs_pointers": [],
        "signed_lfs_pointers": [],
        "sizes": {
            "come <b>": {"old": None, "new": 5678},
            "gone": {"old": 2000 if known else None, "new": None},
            **grown,
        },
    }


def test_the_table_has_them_too(model):
    tampered(model, "--shard-size", 300)
    believed = TrustedKey(keys.load_public(model.parent / "k.pub"))
    html = check_by(model, believed)._repr_html_()
    for text in ("come &lt;b&gt;", "5,678 B", "2,000 B", "1,000 B", "1,234 B"):
        assert text in html
    assert "<b>" not in html.replace("<b style", "")


def test_one_file(model):
    assert run("sign", model / "same", "--key", model.parent / "k.key").exit_code == 0
    (model / "same").write_bytes(b"other")
    said = as_json(model / "same", model.parent / "k.pub")
    assert said["sizes"] == {"same": {"old": None, "new": 5}}


def test_sizes_cost_no_look_at_the_files(model, monkeypatch):
    """The walk has them anyway."""
    calls = []
    for name in ("open", "fstat", "stat", "scandir", "pread", "preadv"):
        real = getattr(os, name)
        counted = lambda *a, real=real, name=name, **k: calls.append(name) or real(*a, **k)  # noqa: E731
        monkeypatch.setattr(tree.os, name, counted)
    sizes = manifest.of_folder(model).sizes
    assert sizes == {"grown": 1000, "gone": 2000, "same": 3000}
    # One folder is opened, and each file, which is looked at before and after it is read.
    assert [calls.count(name) for name in ("stat", "open", "fstat")] == [0, 3 + 1, 3 * 2]
