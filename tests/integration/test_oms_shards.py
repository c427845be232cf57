# SPDX-License-Identifier: Apache-2.0
"""OMS by shards: which the parts of a file are (section 6.3.2), signed well by the trusted key."""

from __future__ import annotations

import pytest
from oms_bench import Bench, resources, serialized

NOTHING = ""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def shards(change):
    def changed(listed: list[dict]) -> None:
        of_b = [r for r in listed if r["name"].startswith("sub/b:")]
        change(listed, of_b)

    return resources(changed)


def renamed(old: str, new: str):
    def changed(listed, _):
        (one,) = (r for r in listed if r["name"] == old)
        one["name"] = new

    return shards(changed)


SHARDS = {
    "as it is written": (lambda _: None, NOTHING),
    "not sorted": (resources(list.reverse), NOTHING),
    "size as a float, as model_signing writes it": (serialized(shard_size=4.0), NOTHING),
    "first missing": (shards(lambda rs, b: rs.remove(b[0])), "bad-shard"),
    "gap": (shards(lambda rs, b: rs.remove(b[1])), "bad-shard"),
    "last missing": (shards(lambda rs, b: rs.remove(b[2])), "digest-mismatch"),
    "file missing": (shards(lambda rs, b: [rs.remove(one) for one in b]), "digest-mismatch"),
    "one twice": (shards(lambda rs, b: rs.append(b[0])), "duplicate-name"),
    "overlap": (renamed("sub/b:4:8", "sub/b:2:6"), "bad-shard"),
    "too long": (renamed("sub/b:4:8", "sub/b:4:9"), "bad-shard"),
    "other size": (serialized(shard_size=5), "bad-shard"),
    "no size": (serialized(shard_size=...), "unsupported-serialization"),
    "size of nothing": (serialized(shard_size=0), "unsupported-serialization"),
    "negative size": (serialized(shard_size=-4), "unsupported-serialization"),
    "size in words": (serialized(shard_size="4"), "wrong-type"),
    "size and a half": (serialized(shard_size=4.5), "wrong-type"),
    "a whole file among them": (renamed("sub/b:0:4", "sub/b"), "bad-shard"),
    "no start": (renamed("sub/b:0:4", "sub/b:4"), "bad-shard"),
    "backwards": (renamed("sub/b:0:4", "sub/b:4:0"), "bad-shard"),
    "other digits": (renamed("sub/b:0:4", "sub/b:00:4"), "bad-shard"),
    "digits of another script": (renamed("sub/b:0:4", "sub/b:0:\u0664"), "bad-shard"),
    "signed": (renamed("sub/b:0:4", "sub/b:-0:4"), "bad-shard"),
    "of a file that climbs": (renamed("w:0:4", "../w:0:4"), "bad-name"),
    "of a file without a name": (renamed("w:0:4", ":0:4"), "bad-shard"),
    "of the wrong file": (renamed("w:0:4", "v:0:4"), "digest-mismatch"),
    "by another hash": (resources(lambda rs: rs[0].update(algorithm="blake2b")), "bad-digest"),
    "said to be files": (serialized(method="files", shard_size=...), "digest-mismatch"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHARDS)
def test_shards(bench, name):
    change, code = SHARDS[name]
    statement = bench.statement(shard_size=4)
    change(statement)
    bench.sign(statement)
    assert bench.refusal() == code


def test_a_name_that_looks_like_a_shard_is_a_file(bench):
    """`w` and `w:0:4` are two files: the last two numbers are the shard's (section 6.3.2)."""
    statement = bench.statement(shard_size=4)
    listed = {r["name"] for r in statement["predicate"]["resources"]}
    assert {"w:0:4", "w:0:4:0:4"} <= listed
    bench.sign(statement)
    (bench.model / "w").unlink()
    assert bench.refusal() == "digest-mismatch"


@pytest.mark.parametrize("how", [{}, {"shard_size": 4}])
def test_what_is_appended_to_a_signed_file_is_no_unsigned_file(bench, how):
    bench.sign(bench.statement(**how))
    (bench.model / "new").write_text("not signed")
    assert bench.refusal() == "digest-mismatch"
    assert not bench.refusal("--ignore-unsigned-files")
    with (bench.model / "a").open("ab") as file:
        file.write(b"appended")  # after the last shard, which is full
    assert bench.refusal("--ignore-unsigned-files") == "digest-mismatch"
