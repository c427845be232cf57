# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: everything that reads bytes which a stranger wrote.

Each target takes bytes; nothing but `ModelSealError` may come out of it.
"""

from __future__ import annotations

from pathlib import Path

from modelseal import roots
from modelseal.formats import (
    bundle,
    checkpoint,
    intoto,
    note,
    oms,
    rekor,
    sct,
    strict,
)
from modelseal.policy import document
from modelseal.seal import identity
from modelseal.seal.trust import TrustRoot
from modelseal.seal.verify import anchors, keyless, signature, timestamps

PUBLIC_GOOD = TrustRoot(roots.embedded(roots.PUBLIC_GOOD), "public good")
AUTHORITIES = anchors.load(PUBLIC_GOOD).timestamp_authorities


def verify(data: bytes) -> None:
    keyless.verify(bundle.parse(data), PUBLIC_GOOD, data)


def statement(data: bytes) -> None:
    oms.from_statement(intoto.parse(data))


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


TARGETS = {
    "base64": lambda data: strict.b64decode(text(data), what="value"),
    "bundle": bundle.parse,
    "certificate": identity.of_certificate,
    "checkpoint": lambda data: checkpoint.parse_checkpoint(text(data)),
    "json": lambda data: strict.parse_json(data, what="value", limit=1 << 20),
    "key": signature.load_der,
    "log-body": rekor.parse,
    "note": note.parse_note,
    "policy": lambda data: document.parse(text(data), Path("/")),
    "sct": sct.parse_sct_list,
    "statement": statement,
    "timestamp": lambda data: timestamps.stamped((data,), b"signature", AUTHORITIES),
    "trusted-root": lambda data: anchors.load(TrustRoot(data, "fuzz")),
    "verify": verify,
}
