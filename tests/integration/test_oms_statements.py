# SPDX-License-Identifier: Apache-2.0
"""OMS: what a signer with the right key may have written, each decided on purpose.

Every statement here is signed well by the key that is trusted, so that its content alone decides.
Accepted is what the specification or a peer writes; the rest is refused by the code that stands
beside it.
"""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64decode

import pytest
from oms_bench import FILES, Bench, resources, run, serialized

from modelseal.formats import oms
from modelseal.trust import private_keys

A, B = hashlib.sha256(FILES["a"]).hexdigest(), hashlib.sha256(FILES["sub/b"]).hexdigest()
LONG = "/".join(["n" * 250] * 20)
NOTHING = ""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def named(name: str):
    return resources(lambda listed: listed[0].update(name=name))


def subject(**members):
    return lambda statement: statement["subject"][0].update(members)


def root_of(statement: dict) -> str:
    return statement["subject"][0]["digest"]["sha256"]


def another(name: str, digest: str = A):
    extra = {"name": name, "digest": digest, "algorithm": "sha256"}
    return resources(lambda listed: listed.append(extra))


STATEMENTS = {
    "as it is written": (lambda _: None, NOTHING),
    # What peers write, or the specification leaves open.
    "not sorted": (resources(list.reverse), NOTHING),
    "model called otherwise": (subject(name="model"), NOTHING),
    "model not called at all": (subject(name=""), NOTHING),
    "no ignored paths": (serialized(ignore_paths=...), NOTHING),
    "members of a resource": (
        resources(lambda rs: rs[0].update(uri="u", annotations={"a": 1})), NOTHING,
    ),
    "members of the statement": (lambda s: s.update(note="in-toto: to be ignored"), NOTHING),
    "members of the subject": (subject(annotations={"a": 1}), NOTHING),
    "links allowed": (serialized(allow_symlinks=True), NOTHING),
    # Names (6.1.2).
    "name that climbs": (named("../a"), "bad-name"),
    "name that climbs inside": (named("sub/../a"), "bad-name"),
    "absolute name": (named("/a"), "bad-name"),
    "name with a dot part": (named("./a"), "bad-name"),
    "name with a dot part inside": (named("sub/./a"), "bad-name"),
    "name with an empty part": (named("sub//a"), "bad-name"),
    "name with a slash at its end": (named("a/"), "bad-name"),
    "empty name": (named(""), "bad-name"),
    "name with a zero": (named("a\0"), "bad-name"),
    "name that no file can have": (named(LONG), "bad-name"),
    "name that is not UTF-8": (named("\udcff"), "name-not-utf8"),
    "the single file beside others": (named("."), "bad-name"),
    "other case": (named("A"), "digest-mismatch"),
    "backslash for a slash": (
        resources(lambda rs: rs[1].update(name="sub\\b")), "digest-mismatch",
    ),
    "a folder": (named("sub"), "digest-mismatch"),
    "a file twice": (another("a"), "duplicate-name"),
    "a file twice with two digests": (another("a", B), "duplicate-name"),
    "a file that is not there": (another("other"), "digest-mismatch"),
    "a file left out": (resources(lambda rs: rs.pop(0)), "digest-mismatch"),
    "a digest of another file": (
        resources(lambda rs: rs[0].update(digest=B)), "digest-mismatch",
    ),
    "a signed file that is ignored": (serialized(ignore_paths=["a"]), "digest-mismatch"),
    # Digests (6.3.1, 6.5.1).
    "upper-case digest": (resources(lambda rs: rs[0].update(digest=A.upper())), "bad-digest"),
    "short digest": (resources(lambda rs: rs[0].update(digest=A[:-2])), "bad-digest"),
    "odd digest": (lambda s: s["predicate"]["resources"][0].update(digest=A[:-1]), "bad-digest"),
    "digest of another kind": (
        resources(lambda rs: rs[0].update(digest=hashlib.sha512(FILES["a"]).hexdigest())),
        "bad-digest",
    ),
    "one file by another hash": (
        resources(lambda rs: rs[0].update(algorithm="blake3")), "bad-digest",
    ),
    "unknown hash of a file": (resources(lambda rs: rs[0].update(algorithm="md5")), "bad-digest"),
    "no digest": (lambda s: s["predicate"]["resources"][0].pop("digest"), "missing-member"),
    "no algorithm": (lambda s: s["predicate"]["resources"][0].pop("algorithm"), "missing-member"),
    "no name": (lambda s: s["predicate"]["resources"][0].pop("name"), "missing-member"),
    "no resources": (resources(list.clear), "empty-model"),
    "resources that are no list": (lambda s: s["predicate"].update(resources={}), "wrong-type"),
    "wrong root": (subject(digest={"sha256": A}), "root-mismatch"),
    "sorted again without its root": (
        lambda s: s["predicate"]["resources"].reverse(), "root-mismatch",
    ),
    "root in upper case": (
        lambda s: s["subject"][0]["digest"].update(sha256=root_of(s).upper()), "root-mismatch",
    ),
    "root by another hash": (subject(digest={"sha512": A + B}), "root-mismatch"),
    "two roots": (
        lambda s: s["subject"][0]["digest"].update(sha512=A + B), "root-mismatch",
    ),
    # Serialization (5.2.2).
    "unknown hash": (serialized(hash_type="sha1"), "unsupported-serialization"),
    "another hash": (serialized(hash_type="blake3"), "bad-digest"),
    "unknown method": (serialized(method="tensors"), "unsupported-serialization"),
    "shards without a size": (serialized(method="shards"), "unsupported-serialization"),
    "files with a shard size": (serialized(shard_size=4), "unsupported-serialization"),
    "files with no shard size": (serialized(shard_size=None), "unsupported-serialization"),
    "links not decided": (serialized(allow_symlinks=...), "missing-member"),
    "links decided in words": (serialized(allow_symlinks="no"), "wrong-type"),
    "unknown member": (serialized(follow_hard_links=True), "unknown-member"),
    "ignored paths that are no list": (serialized(ignore_paths="a"), "wrong-type"),
    "ignored paths that are no text": (serialized(ignore_paths=[1]), "wrong-type"),
    "no serialization": (lambda s: s["predicate"].pop("serialization"), "missing-member"),
    # Statement (5, 6.5, 8.3).
    "unknown member of the predicate": (lambda s: s["predicate"].update(x=1), "unknown-member"),
    "no predicate": (lambda s: s.pop("predicate"), "missing-member"),
    "two subjects": (lambda s: s["subject"].append(s["subject"][0]), "subject-count"),
    "no subject": (lambda s: s["subject"].clear(), "no-subject"),
    "another predicate": (
        lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"), "not-a-model-signature",
    ),
    "a later predicate": (
        lambda s: s.update(predicateType=oms.PREDICATE_TYPE.replace("v1.0", "v1.1")),
        "not-a-model-signature",
    ),
    "another statement": (
        lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "statement-type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STATEMENTS)
def test_statements(bench, name):
    change, code = STATEMENTS[name]
    statement = bench.statement()
    change(statement)
    bench.sign(statement)
    assert bench.refusal() == code


@pytest.mark.parametrize(
    "path",
    ["*", "ne?", "n[e]w", "/new", "../model/new", "./new", "new/", "", ".", "..", "sub/../new"],
)
def test_ignored_paths_that_the_specification_does_not_know_hide_nothing(bench, path):
    """Section 6.2.1: exact relative paths. The Go client records those of its caller."""
    statement = bench.statement()
    statement["predicate"]["serialization"]["ignore_paths"] = [path]
    bench.sign(statement)
    assert not bench.refusal()
    (bench.model / "new").write_text("not signed")
    assert bench.refusal() == "digest-mismatch"
    statement["predicate"]["serialization"]["ignore_paths"] = ["new"]
    bench.sign(statement)
    assert not bench.refusal()


def test_names_of_every_script_and_form(bench):
    """Byte-exact (section 6.1.2): two forms of one word are two files."""
    names = [
        "caf\u00e9", "cafe\u0301", "\u6a21\u578b\u3000v1", "\U0001f468\u200d\U0001f469",
        " a ", "a\u00a0b", "-rf", "~", "#", "%2e%2e", "a:b", "...", "CON",
    ]  # fmt: skip
    for name in names:
        (bench.model / name).write_text(name)
    private = bench.public.with_suffix(".key")
    private_keys.generate(private, "p521", overwrite=True)
    command = [
        "sign-model", "--method", "key", "--model-path", bench.model,
        "--output-bundle", bench.bundle, "--private-key", private,
    ]  # fmt: skip
    assert run(*command).code == 0
    payload = json.loads(bench.bundle.read_text())["dsseEnvelope"]["payload"]
    listed = [r["name"] for r in json.loads(b64decode(payload))["predicate"]["resources"]]
    assert listed == sorted([*FILES, *names])
    assert not bench.refusal()
    (bench.model / os.fsdecode(b"\xff")).touch()
    assert bench.refusal() == "name-not-utf8"
