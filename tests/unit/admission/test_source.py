# SPDX-License-Identifier: Apache-2.0
"""Models by shards and with links, as they go into a store."""

from __future__ import annotations

from datetime import UTC, datetime

from modelseal.admission import source
from modelseal.formats import oms
from modelseal.model import manifest
from modelseal.model.diff import compare
from modelseal.trust.signer import Signer
from modelseal.verification.authenticate import Authenticated


def copied(model, into, **how):
    signed = manifest.of_folder(model, frozenset(), None, oms.serialization(**how))
    found = Authenticated(Signer("a", "b"), datetime.now(UTC), "oms", signed, 0, "test")
    wanted = source.expected(model, found, folder=True)
    into.mkdir()
    with source.opened(model, wanted, folder=True) as files:
        assert source.sizes(files).keys() == signed.file_names()
        assert not compare(signed, source.hashed(files, signed.serialization, None, {}))
        assert not compare(signed, source.copied(files, signed, into, None))
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
