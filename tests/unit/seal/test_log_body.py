# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

from modelseal.errors import ModelSealError
from modelseal.formats import dsse
from modelseal.formats.bundle import Bundle, LogEntry, MessageSignature
from modelseal.seal import log_body

PAYLOAD, SIGNATURE, CERTIFICATE = b"payload", b"signature", b"certificate"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def body() -> dict:
    logged = {
        "content": b64(SIGNATURE),
        "verifier": {
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "x509Certificate": {"rawBytes": b64(CERTIFICATE)},
        },
    }
    spec = {
        "payloadHash": {"algorithm": "SHA2_256", "digest": b64(sha256(PAYLOAD).digest())},
        "signatures": [logged],
    }
    return {"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": spec}}


def bundle(content: dict) -> Bundle:
    entry = LogEntry(1, b"log", "dsse", "0.0.2", 0, None, None, json.dumps(content).encode())
    envelope = dsse.Envelope(PAYLOAD, "application/vnd.in-toto+json", (dsse.Signature(SIGNATURE),))
    return Bundle("v0.3", (CERTIFICATE,), None, (entry,), (), envelope)


def test_an_entry_of_this_signature_passes():
    log_body.check_dsse(bundle(body()))


def changed(path: str, value: object) -> dict:
    content = target = body()
    *parents, last = path.split("/")
    for name in parents:
        target = target[int(name) if name.isdigit() else name]
    target[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("kind", "hashedrekord"),
        ("apiVersion", "0.0.1"),
        ("more", 1),
        ("spec/dsseV002/payloadHash/digest", b64(sha256(b"other").digest())),
        ("spec/dsseV002/payloadHash/algorithm", "SHA2_512"),
        ("spec/dsseV002/signatures", []),
        ("spec/dsseV002/signatures", body()["spec"]["dsseV002"]["signatures"] * 2),
        ("spec/dsseV002/signatures/0/content", b64(b"other")),
        ("spec/dsseV002/signatures/0/verifier/keyDetails", "PKIX_ECDSA_P384_SHA_384"),
        ("spec/dsseV002/signatures/0/verifier/x509Certificate/rawBytes", b64(b"other")),
        ("spec/hashedRekordV002", {}),
    ],
)
def test_an_entry_of_anything_else_is_refused(path, value):
    with pytest.raises(ModelSealError) as refused:
        log_body.check_dsse(bundle(changed(path, value)))
    assert refused.value.code == "log-mismatch"


def test_an_entry_of_a_statement_does_not_cover_an_artifact():
    with pytest.raises(ModelSealError, match="another signature"):
        log_body.check_dsse(replace(bundle(body()), content=MessageSignature(SIGNATURE)))
