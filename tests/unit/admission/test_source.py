# SPDX-License-Identifier: Apache-2.0
"""Models by shards and with links, as they go into a store."""

from __future__ import annotations

from modelseal.admission import source
from modelseal.formats import oms
from modelseal.model import manifest, tree
from modelseal.model.diff import compare
from modelseal.model.scope import Scope, of_signed


def copied(model, into, **how):
    links = Scope(follow_links=how.pop("allow_symlinks", False))
    contents = manifest.of_folder(model, links, how=oms.serialization(**how))
    signed = contents.manifest
    into.mkdir()
    scope, how = of_signed(signed), signed.serialization
    with tree.folder(model) as root:
        assert source.sizes(root, scope).keys() == signed.file_names()
        assert not compare(contents, source.hashed(root, scope, how))
        assert not compare(contents, source.copied(root, scope, how, into))
    return {p.relative_to(into).as_posix(): p for p in into.rglob("*") if p.is_file()}


def test_shards_are_hashed_while_they_are_copied(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "a").write_bytes(b"0123456789" * 5)
    (model / "unsigned-empty").touch()
    found = copied(model, tmp_path / "copy", shard_size=20)
    assert {name: path.read_bytes() for name, path in found.items()} == {"a": b"0123456789" * 5}


def test_a_link_is_copied_as_the_file_it_leads_to(tmp_path):
    model = tmp_path / "model"
    (model / "real").mkdir(parents=True)
    (model / "real" / "a").write_bytes(b"weights")
    (model / "link").symlink_to("real")
    found = copied(model, tmp_path / "copy", allow_symlinks=True)
    assert {name: path.read_bytes() for name, path in found.items()} == {
        "link/a": b"weights", "real/a": b"weights",
    }  # fmt: skip
    assert not any(p.is_symlink() for p in (tmp_path / "copy").rglob("*"))
