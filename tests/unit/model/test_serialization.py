# SPDX-License-Identifier: Apache-2.0
"""Models by files and by shards, with every hash, with and without symbolic links."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import blake3
import pytest

from modelseal.errors import FormatError
from modelseal.formats import oms
from modelseal.model import manifest
from modelseal.model.digests import Reading
from modelseal.model.scope import Scope

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path, *, follow_links: bool = False) -> list[str]:
    found = manifest.of_folder(folder, Scope(follow_links=follow_links)).manifest
    return [r.name for r in found.resources]


def refusal(folder: Path) -> FormatError:
    with pytest.raises(FormatError) as refused:
        names(folder, follow_links=True)
    return refused.value


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a:b").write_bytes(b"0123456789" * 5)
    (folder / "sub" / "x").write_bytes(b"x")
    (folder / "empty").touch()
    return folder


@pytest.mark.parametrize(
    ("hash_type", "digest"),
    [
        ("sha256", lambda data: hashlib.sha256(data).digest()),
        ("blake2b", lambda data: hashlib.blake2b(data).digest()),
        ("blake3", lambda data: blake3.blake3(data).digest()),
    ],
)
def test_files_and_shards_have_the_digests_of_their_bytes(model, hash_type, digest):
    files = manifest.of_folder(model, how=oms.serialization(hash_type)).manifest
    assert {r.name: r.digest for r in files.resources} == {
        "a:b": digest(b"0123456789" * 5), "empty": digest(b""), "sub/x": digest(b"x"),
    }  # fmt: skip
    how = oms.serialization(hash_type, shard_size=20)
    steps: list[int] = []
    shards = manifest.of_folder(model, how=how, reading=Reading(progress=steps.append)).manifest
    whole = digest(b"01234567890123456789")
    assert {r.name: r.digest for r in shards.resources} == {
        "a:b:0:20": whole, "a:b:20:40": whole, "a:b:40:50": digest(b"0123456789"),
        "sub/x:0:1": digest(b"x"),
    }  # fmt: skip
    assert sum(steps) == 51


def test_a_model_of_one_file_may_be_renamed(model):
    for size in (None, 20):
        signed = manifest.of_file(model / "a:b", oms.serialization(shard_size=size)).manifest
        (model / "c").write_bytes((model / "a:b").read_bytes())
        renamed = manifest.of_file(model / "c", signed.serialization).manifest
        assert manifest.renamed(signed, "c") == renamed


def test_links_to_files_and_folders_stand_for_what_they_lead_to(model):
    (model / "link").symlink_to("sub/x")
    (model / "folder").symlink_to("sub")
    (model / "sub" / "up").symlink_to("../empty")
    (model / "again").symlink_to("folder/up")
    assert names(model, follow_links=True) == [
        "a:b", "again", "empty", "folder/up", "folder/x", "link", "sub/up", "sub/x",
    ]  # fmt: skip
    with pytest.raises(FormatError, match="symbolic link"):
        names(model)


def test_what_is_behind_a_linked_folder_is_compared(model):
    (model / "folder").symlink_to("sub")
    scope = Scope(follow_links=True)
    before = manifest.of_folder(model, scope).manifest
    assert before.serialization.allow_symlinks
    (model / "sub" / "x").write_bytes(b"changed")
    after = manifest.of_folder(model, scope).manifest
    assert {r.name for r in before.resources} == {r.name for r in after.resources}
    assert len(set(before.resources) - set(after.resources)) == 2


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../outside", "out of the model"),
        ("sub/../../model/sub/x", "out of the model"),
        ("/etc/passwd", "out of the model"),
        ("missing", "nowhere"),
        ("sub/x/below", "nowhere"),
        ("link", "in a circle"),
        (".", "in a circle"),
        ("..", "out of the model"),
    ],
)
def test_links_that_are_refused(model, target, why):
    (model.parent / "outside").write_text("secret")
    (model / "link").symlink_to(target)
    found = refusal(model)
    assert (found.code, why in found.message) == ("symlink", True), found


def test_circles_of_several_links_are_refused(model):
    (model / "sub" / "one").symlink_to("../other")
    (model / "other").mkdir()
    (model / "other" / "two").symlink_to("../sub")
    assert "in a circle" in refusal(model).message


def test_folders_that_links_multiply_are_bounded(model, monkeypatch):
    monkeypatch.setattr("modelseal.model.tree.MAX_FILES", 1000)
    for i in range(12):
        (model / f"d{i}").mkdir()
        for side in "lr":
            (model / f"d{i}" / side).symlink_to(f"../d{i + 1}")
    (model / "d12").mkdir()
    assert refusal(model).code == "too-many-files"


def test_a_link_to_a_fifo_is_refused(model):
    import os  # noqa: PLC0415 - only here

    os.mkfifo(model / "fifo")
    (model / "a-link").symlink_to("fifo")
    assert refusal(model).code == "special-file"


def test_a_sparse_file_of_any_size_is_not_cut_into_any_number_of_shards(model):
    signed = manifest.of_folder(model, how=oms.serialization(shard_size=20)).manifest
    with (model / "sub" / "x").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(FormatError) as refused:
        manifest.of_folder(model, how=signed.serialization)
    assert refused.value.code == "too-many-shards"
