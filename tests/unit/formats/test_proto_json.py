# SPDX-License-Identifier: Apache-2.0
"""Bundles in every spelling of protobuf's JSON mapping that the clients of Sigstore take."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest

from modelseal.errors import FormatError
from modelseal.formats import bundle as bundle_format
from modelseal.formats.strict import parse_proto, proto_bytes

RAW = bytes(range(0xC0, 0x100)) * 3
TEXT = b64encode(RAW).decode()


def made(**entry: Any) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "publicKey": {"hint": "a key"},
            "tlogEntries": [
                {
                    "logIndex": "7",
                    "logId": {"keyId": TEXT},
                    "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                    "canonicalizedBody": TEXT,
                    **entry,
                }
            ],
        },
        "messageSignature": {"signature": TEXT},
    }


def parsed(bundle: dict[str, Any]) -> bundle_format.Bundle:
    return bundle_format.parse(json.dumps(bundle).encode())


@pytest.mark.parametrize(
    "entry",
    [
        {"integratedTime": None}, {"integratedTime": 0}, {"integratedTime": "0"},
        {"inclusionPromise": None}, {"inclusionPromise": {}},
        {"inclusionPromise": {"signedEntryTimestamp": ""}}, {"inclusionProof": None},
        {"logIndex": 7},
    ],
)  # fmt: skip
def test_what_is_empty_may_be_left_out(entry):
    assert parsed(made(**entry)) == parsed(made())


def test_names_of_the_proto_file_are_taken():
    def snake(value: Any) -> Any:
        if isinstance(value, list):
            return [snake(item) for item in value]
        if not isinstance(value, dict):
            return value
        names = {n: "".join(f"_{c.lower()}" if c.isupper() else c for c in n) for n in value}
        return {names[name]: snake(item) for name, item in value.items()}

    spelled = snake(made())
    assert "verification_material" in spelled
    assert parsed(spelled) == parsed(made())


def test_a_member_by_both_of_its_names_is_refused():
    with pytest.raises(FormatError) as refused:
        parse_proto(b'{"media_type": "a", "mediaType": "a"}', what="bundle", limit=100)
    assert refused.value.code == "duplicate-member"


@pytest.mark.parametrize(
    "text",
    [
        TEXT, urlsafe_b64encode(RAW).decode(), TEXT[:76] + "\n" + TEXT[76:] + "\n",
        TEXT[:64] + "\r\n" + TEXT[64:],
    ],
)  # fmt: skip
def test_bytes_in_either_alphabet_and_over_several_lines(text):
    assert proto_bytes(text, what="signature") == RAW


@pytest.mark.parametrize(
    "text", [" " + TEXT, TEXT + "=", "_" + TEXT[1:-1] + "+", "AA", "AB==", "AAAA!", "é" * 4]
)
def test_other_spellings_are_no_bytes(text):
    with pytest.raises(FormatError) as refused:
        proto_bytes(text, what="signature")
    assert refused.value.code == "not-base64"
