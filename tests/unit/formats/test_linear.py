# SPDX-License-Identifier: Apache-2.0
"""Twice the input is at most twice the work and twice the memory, for the nastiest shapes.

Work is counted in lines that run, the library's too, and memory in bytes at the peak: both say the
same on every machine, as a clock does not.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelseal.errors import ModelSealError, shown
from modelseal.formats import (
    bundle,
    checkpoint,
    dsse,
    intoto,
    kinds,
    merkle,
    note,
    oms,
    pkcs11_uri,
    rekor,
    sct,
    strict,
    tiles,
    trusted_root,
)
from modelseal.model import listing, stat_cache
from modelseal.policy import document
from modelseal.trust import fulcio
from modelseal.verification import subject

if TYPE_CHECKING:
    from collections.abc import Callable

SLACK = 1.15
LINES, BYTES = 60, 4096  # what a single step may cost anew: a table that doubles


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def parsed_json(data: bytes) -> object:
    return strict.parse_json(data, what="value", limit=1 << 24, items=1 << 24)


def a_bundle(entries: int = 1, payload: bytes = b"x", hashes: int = 1, stamps: int = 0) -> bytes:
    proof = {
        "logIndex": "0", "treeSize": "1", "rootHash": b64(b"r" * 32),
        "hashes": [b64(b"h" * 32)] * hashes, "checkpoint": {"envelope": "x"},
    }  # fmt: skip
    entry = {
        "logIndex": "0", "logId": {"keyId": "AAAA"}, "inclusionProof": proof,
        "kindVersion": {"kind": "dsse", "version": "0.0.1"}, "canonicalizedBody": "AAAA",
    }  # fmt: skip
    material = {
        "certificate": {"rawBytes": "AAAA"}, "tlogEntries": [entry] * entries,
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}] * stamps},
    }  # fmt: skip
    envelope = {"payload": b64(payload), "payloadType": "t", "signatures": [{"sig": "AAAA"}]}
    media = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return dumped({"mediaType": media, "verificationMaterial": material, "dsseEnvelope": envelope})


def a_chain(count: int) -> bytes:
    value = json.loads(a_bundle())
    material = value["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")] * count}
    return dumped(value)


def a_note(signatures: int = 1, lines: int = 1) -> bytes:
    line = f"\u2014 name {b64(b'x' * 40)}\n"
    return ("text\n" * lines + "\n" + line * signatures).encode()


def a_body(signatures: int = 1, pem: int = 1) -> bytes:
    one = {"signature": "AAAA", "verifier": b64(b"p" * pem)}
    hashed = {"algorithm": "sha256", "value": "00" * 32}
    spec = {"payloadHash": hashed, "envelopeHash": hashed, "signatures": [one] * signatures}
    return dumped({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec})


def a_statement(subjects: int = 1, digests: int = 1) -> bytes:
    one = {"name": "x", "digest": {f"hash{number}": "00" for number in range(digests)}}
    return dumped({
        "_type": intoto.STATEMENT_TYPE, "subject": [one] * subjects,
        "predicateType": "t", "predicate": {},
    })  # fmt: skip


def a_model(names: list[str], size: int | None = None) -> bytes:
    how: dict[str, object] = {"method": "files", "hash_type": "sha256", "ignore_paths": []}
    if size is not None:
        how |= {"method": "shards", "shard_size": size}
    resources = [{"name": name, "digest": "00" * 32, "algorithm": "sha256"} for name in names]
    root = oms.Manifest(tuple(oms.Resource(name, bytes(32)) for name in names)).root().hex()
    return dumped({
        "_type": intoto.STATEMENT_TYPE, "subject": [{"name": "m", "digest": {"sha256": root}}],
        "predicateType": oms.PREDICATE_TYPE,
        "predicate": {"serialization": how, "resources": resources},
    })  # fmt: skip


def an_old_model(files: int) -> bytes:
    listed = [{"name": f"f{n}", "digest": {"sha256": "00" * 32}} for n in range(files)]
    return dumped({
        "_type": intoto.STATEMENT_TYPE, "subject": listed, "predicateType": oms.OLD_PREDICATE_TYPE,
        "predicate": {},
    })  # fmt: skip


def manifest_of(data: bytes) -> oms.Manifest:
    found = oms.from_statement(intoto.parse(data))
    found.file_names()
    return found


def an_sct_list(count: int, extensions: int = 0) -> bytes:
    return sct.format_sct_list([sct.Sct(b"l" * 32, 1, b"s", b"e" * extensions)] * count)


def a_root(logs: int = 0, authorities: int = 0, certificates: int = 1) -> bytes:
    period = {"start": "2025-01-01T00:00:00Z"}
    key = {"rawBytes": "AAAA", "keyDetails": "PKIX_ED25519", "validFor": period}
    log = {"hashAlgorithm": "SHA2_256", "publicKey": key, "logId": {"keyId": "AAAA"}}
    chain = {"certificates": [{"rawBytes": "AAAA"}] * certificates}
    return dumped({
        "mediaType": trusted_root.MEDIA_TYPES[0], "tlogs": [log] * logs,
        "certificateAuthorities": [{"certChain": chain, "validFor": period}] * authorities,
    })  # fmt: skip


def a_policy(rules: int) -> bytes:
    head = 'version = 1\ndefault = "deny"\n[trust]\nroot = "r"\n'
    head += '[signers.a]\nidentity = "a@example.com"\nissuer = "https://i.example"\n'
    return (head + '[[rule]]\nmodels = ["*"]\nsigners = ["a"]\n' * rules).encode()


def named(count: int) -> list[str]:
    return [f"folder/file{number:06}" for number in range(count)]


def shards(count: int) -> list[str]:
    return [oms.shard_name("a:1:2", number * 10, number * 10 + 10) for number in range(count)]


def subject_of(data: bytes) -> None:
    signed = dsse.Envelope(data, intoto.PAYLOAD_TYPE, (dsse.Signature(b"x"),))
    subject.check_subject(signed, b"weights")


def text(data: bytes) -> str:
    return data.decode()


def a_proof(count: int) -> None:
    merkle.root_from_inclusion(b"l" * 32, (1 << count) - 1, 1 << count, [b"h" * 32] * count)


Shape = tuple["Callable[[bytes], object]", "Callable[[int], bytes]", int]
SHAPES: dict[str, Shape] = {
    "brackets": (parsed_json, lambda n: b"[" * n, 2000),
    "nested": (parsed_json, lambda n: b"[" * n + b"]" * n, 200),
    "members": (parsed_json, lambda n: dumped({str(i): i for i in range(n)}), 500),
    "a member twice": (parsed_json, lambda n: b'{"a":1' + b',"a":1' * n + b"}", 500),
    "escapes": (parsed_json, lambda n: b'"' + b"\\u00e9" * n + b'"', 5000),
    "digits": (parsed_json, lambda n: b"1" * n, 1000),
    "backslashes": (parsed_json, lambda n: b'"' + b"\\\\" * n, 5000),
    "base64": (lambda d: strict.b64decode(text(d), what="x"), lambda n: b"A" * (4 * n), 5000),
    "base64 with a stray": (
        lambda d: strict.b64decode(text(d), what="x"), lambda n: b"A" * (4 * n) + b"!", 5000,
    ),
    "payload": (bundle.parse, lambda n: a_bundle(payload=b"p" * n), 50_000),
    "entries": (bundle.parse, lambda n: a_bundle(entries=n), 8),
    "hashes": (bundle.parse, lambda n: a_bundle(hashes=n), 16),
    "timestamps": (bundle.parse, lambda n: a_bundle(stamps=n), 16),
    "certificates": (bundle.parse, a_chain, 16),
    "lines that are no bundle": (kinds.of, lambda n: b'{"payload": ""}\n' * n, 500),
    "what may be a token": (kinds.of, lambda n: b"eyJ" + b"a.-" * n, 5000),
    "what may be a signature": (kinds.of, lambda n: b"A" * n + b"!", 5000),
    "proof": (lambda d: a_proof(len(d)), lambda n: b"x" * n, 15),
    "note signatures": (note.parse_note, lambda n: a_note(signatures=n), 16),
    "note lines": (note.parse_note, lambda n: a_note(lines=n), 1000),
    "note of line breaks": (note.parse_note, lambda n: b"\n" * n, 5000),
    "checkpoint lines": (
        lambda d: checkpoint.parse_checkpoint(text(d)),
        lambda n: f"o\n1\n{b64(b'r' * 32)}\n".encode() + b"more\n" * n, 500,
    ),
    "log signatures": (rekor.parse, lambda n: a_body(signatures=n), 16),
    "log key": (rekor.parse, lambda n: a_body(pem=n), 50_000),
    "subjects": (intoto.parse, lambda n: a_statement(subjects=n), 500),
    "digests": (intoto.parse, lambda n: a_statement(digests=n), 500),
    "subjects to look through": (subject_of, lambda n: a_statement(n, 3), 200),
    "digests to look through": (subject_of, lambda n: a_statement(3, n), 500),
    "resources": (manifest_of, lambda n: a_model(named(n)), 300),
    "long name": (manifest_of, lambda n: a_model(["a/" * n + "b"]), 500),
    "shards": (manifest_of, lambda n: a_model(shards(n), 10), 300),
    "name of colons": (manifest_of, lambda n: a_model(["x" + ":1" * n + ":"], 10), 2000),
    "old files": (manifest_of, an_old_model, 300),
    "SCTs": (sct.parse_sct_list, an_sct_list, 100),
    "SCT extensions": (sct.parse_sct_list, lambda n: an_sct_list(1, n), 10_000),
    "tile entries": (tiles.parse_entries, lambda n: b"\0\1x" * n, 64),
    "tile path": (lambda d: tiles.parse_path(text(d)), lambda n: b"tile/0/" + b"x001/" * n, 500),
    "logs": (trusted_root.parse, lambda n: a_root(logs=n), 32),
    "authorities": (trusted_root.parse, lambda n: a_root(authorities=n), 32),
    "authority's chain": (
        trusted_root.parse, lambda n: a_root(authorities=1, certificates=n), 64,
    ),
    "PKCS#11 attributes": (
        lambda d: pkcs11_uri.parse(text(d)), lambda n: b"pkcs11:" + b"x=1;" * n, 200,
    ),
    "PKCS#11 value": (
        lambda d: pkcs11_uri.parse(text(d)), lambda n: b"pkcs11:token=" + b"%41" * n, 300,
    ),
    "listed files": (
        listing.parse,
        lambda n: dumped({"files": [{"name": x, "sha256": "00" * 32} for x in named(n)]}), 300,
    ),
    "known digests": (
        lambda d: stat_cache._parsed(d, Path("/m")),
        lambda n: dumped({
            "version": stat_cache.VERSION, "model": "/m", "files": {x: ["", []] for x in named(n)},
        }), 300,
    ),
    "rules": (lambda d: document.parse(text(d), Path("/")), a_policy, 50),
    "UTF8String": (
        fulcio._utf8_string, lambda n: b"\x0c\x82" + n.to_bytes(2) + b"x" * n, 4000,
    ),
    "text for people": (lambda d: shown(text(d)), lambda n: b"\x1b[31m" * n, 5000),
}  # fmt: skip


def lines_of(read: Callable[[bytes], object], data: bytes) -> int:
    """Return how many lines of Python `read` runs."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(ModelSealError):
            read(data)
    finally:
        sys.settrace(before)
    return count


def bytes_of(read: Callable[[bytes], object], data: bytes) -> int:
    """Return how many bytes `read` takes at its peak."""
    tracemalloc.start()
    try:
        with suppress(ModelSealError):
            read(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def measured(measure: Callable, shape: Shape) -> tuple[int, int, int]:
    read, make, count = shape
    measure(read, make(count))  # what is imported and remembered the first time is not counted
    one, two, four = (measure(read, make(factor * count)) for factor in (1, 2, 4))
    return one, two, four


def is_linear(one: int, two: int, four: int, slack: int) -> bool:
    return four - two <= 2 * SLACK * max(two - one, 0) + slack


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("measure", "slack"), [(lines_of, LINES), (bytes_of, BYTES)])
def test_no_more_than_linear(shape, measure, slack):
    found = measured(measure, SHAPES[shape])
    assert is_linear(*found, slack), found


def test_what_is_quadratic_is_found():
    def slow(data: bytes) -> None:
        for _ in data:
            for _ in data:
                pass

    assert not is_linear(*measured(lines_of, (slow, bytes, 50)), LINES)
    assert not is_linear(
        *measured(bytes_of, (lambda d: [d + b"x"] * len(d) ** 2, bytes, 50)), BYTES
    )
