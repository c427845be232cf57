# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy

import pytest

from modelseal.errors import FormatError
from modelseal.formats import intoto, oms


def code_of(call, *arguments) -> str:
    with pytest.raises(FormatError) as refused:
        call(*arguments)
    return refused.value.code


def sharded(*names: str, size: int = 10) -> oms.Manifest:
    how = oms.serialization("sha256", shard_size=size)
    return oms.manifest([oms.Resource(name, bytes(32)) for name in names], (), how)


@pytest.mark.parametrize("hash_type", oms.HASHES)
@pytest.mark.parametrize("shard_size", [None, 10])
@pytest.mark.parametrize("allow_symlinks", [True, False])
def test_what_is_written_is_read_back(hash_type, shard_size, allow_symlinks):
    how = oms.serialization(hash_type, shard_size=shard_size, allow_symlinks=allow_symlinks)
    name = "a" if shard_size is None else "a:0:10"
    signed = oms.manifest([oms.Resource(name, bytes(oms.HASHES[hash_type]))], ("x",), how)
    statement = intoto.parse(intoto.to_bytes(oms.to_statement(signed, "m")))
    assert oms.from_statement(statement) == signed
    assert ("shard_size" in statement.predicate["serialization"]) == (shard_size is not None)


def test_shards_are_sorted_by_string_and_read_by_number():
    signed = sharded("a:0:10", "a:10:20", "a:100:105", *(f"a:{i}0:{i + 1}0" for i in range(2, 10)))
    assert [r.name for r in signed.resources][:3] == ["a:0:10", "a:100:105", "a:10:20"]
    assert signed.file_names() == {"a"}


def test_a_file_may_have_colons_in_its_name():
    assert oms.split_shard("a:b:1:0:5") == ("a:b:1", 0, 5)
    assert sharded("a:0:5:0:5").file_names() == {"a:0:5"}


@pytest.mark.parametrize(
    "names",
    [
        ("a",), ("a:0",), ("a:0:x",), ("a:00:10",), (":0:10",), ("a:5:10",), ("a:0:11",),
        ("a:0:0",), ("a:10:0",), ("a:0:10", "a:20:30"), ("a:0:5", "a:5:10"), ("a:0:10", "a:5:15"),
        ("a:0:\u0661",), ("a:0:" + "9" * 30,),
    ],
)  # fmt: skip
def test_shards_that_are_not_those_of_a_file(names):
    assert code_of(sharded, *names) == "bad-shard"


def test_names_of_shards_are_checked():
    assert code_of(sharded, "../a:0:10") == "bad-name"


def changed(statement: intoto.Statement, section: str, **members) -> intoto.Statement:
    predicate = copy.deepcopy(statement.predicate)
    target = predicate["serialization"] if section == "serialization" else predicate["resources"][0]
    target.update(members)
    for name, value in members.items():
        if value is ...:
            del target[name]
    return statement._replace(predicate=predicate)


@pytest.mark.parametrize(
    ("section", "members", "code"),
    [
        ("serialization", {"shard_size": 10.5}, "wrong-type"),
        ("serialization", {"shard_size": True}, "wrong-type"),
        ("serialization", {"shard_size": 0}, "unsupported-serialization"),
        ("serialization", {"shard_size": -10}, "unsupported-serialization"),
        ("serialization", {"shard_size": 1e300}, "unsupported-serialization"),
        ("serialization", {"shard_size": ...}, "unsupported-serialization"),
        ("serialization", {"method": "files"}, "unsupported-serialization"),
        ("serialization", {"hash_type": "sha1"}, "unsupported-serialization"),
        ("serialization", {"hash_type": "blake2b"}, "bad-digest"),
        ("serialization", {"allow_symlinks": 1}, "wrong-type"),
        ("resource", {"algorithm": "blake3"}, "bad-digest"),
        ("resource", {"algorithm": "sha256-sharded-11"}, "bad-digest"),
    ],
)
def test_serializations_that_are_refused(section, members, code):
    statement = oms.to_statement(sharded("a:0:10"), "m")
    assert code_of(oms.from_statement, changed(statement, section, **members)) == code


def test_how_model_signing_writes_shards():
    statement = oms.to_statement(sharded("a:0:10"), "m")
    theirs = changed(statement, "serialization", shard_size=10.0)
    theirs = changed(theirs, "resource", algorithm="sha256-sharded-10")
    assert oms.from_statement(theirs) == sharded("a:0:10")


def test_statements_of_model_signing_0_2():
    subjects = tuple(intoto.Subject(name, (("sha256", "00" * 32),)) for name in ("b", "a"))
    old = intoto.Statement(subjects, oms.OLD_PREDICATE_TYPE, {})
    assert [r.name for r in oms.from_statement(old).resources] == ["a", "b"]
    bad = intoto.Statement((intoto.Subject("a", (("sha512", "00" * 64),)),), old.predicate_type, {})
    assert code_of(oms.from_statement, bad) == "bad-digest"
