# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from hashlib import new

import pytest

from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.seal.verify import keyless
from modelseal.seal.verify.signature import Prehashed

ARTIFACT = b"weights"
KEYS = {"P256": "sha256", "P384": "sha384", "P521": "sha512", "RSA": "sha256"}
CASES = [
    ("artifact", "hashedrekord", "0.0.2"), ("statement", "hashedrekord", "0.0.2"),
    ("statement", "dsse", "0.0.2"), ("artifact", "hashedrekord", "0.0.1"),
    ("statement", "hashedrekord", "0.0.1"), ("statement", "dsse", "0.0.1"),
    ("statement", "intoto", "0.0.2"),
]  # fmt: skip


def verify(bundle: dict, trust, artifact: bytes | Prehashed = ARTIFACT):
    return keyless.verify(bundle_format.parse(json.dumps(bundle).encode()), trust, artifact)


def code(bundle: dict, trust, artifact: bytes | Prehashed = ARTIFACT) -> str:
    with pytest.raises(ModelSealError) as refused:
        verify(bundle, trust, artifact)
    return refused.value.code


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("what", "kind", "version"), CASES)
def test_every_kind_by_every_key(what, kind, version, key, workshop):
    bundle = workshop.bundle(what, kind, version, key)
    assert len(verify(bundle, workshop.trust).times) == 1
    if what == "artifact":
        digest = Prehashed(KEYS[key], new(KEYS[key], ARTIFACT).digest())
        assert verify(bundle, workshop.trust, digest).times
        assert code(bundle, workshop.trust, b"other") == "signature-invalid"
