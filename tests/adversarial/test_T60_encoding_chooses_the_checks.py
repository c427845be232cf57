# SPDX-License-Identifier: Apache-2.0
"""Whoever holds the key chooses the form of the statement. It must not choose the checks."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from in_process import answers, invoke

from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.trust import keys

WEIGHTS = b"weights"


def signed_in_the_old_form(key, *, old_encoding: bool) -> bytes:
    """Return a bundle of model-signing 0.2: its predicate, by its encoding or by that of DSSE."""
    subject = intoto.Subject("model.bin", (("sha256", sha256(WEIGHTS).hexdigest()),))
    payload = intoto.to_bytes(intoto.Statement((subject,), oms.OLD_PREDICATE_TYPE, {}))
    encode = oms.old_pae if old_encoding else dsse.pae
    message = encode(intoto.PAYLOAD_TYPE, payload)
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    return bundle_format.to_bytes(
        bundle_format.Bundle(
            media_type="application/vnd.dev.sigstore.bundle.v0.3+json",
            certificates=(),
            key_hint=keys.hints(key.public_key())[0],
            entries=(),
            timestamps=(),
            content=dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (dsse.Signature(signature, ""),)),
        )
    )


@pytest.fixture(params=[True, False], ids=["old encoding", "DSSE"])
def model(request, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.bin").write_bytes(WEIGHTS)
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pub").write_bytes(keys.public_pem(key.public_key()))
    bundle = signed_in_the_old_form(key, old_encoding=request.param)
    (folder / "model.sig").write_bytes(bundle)
    return folder


def code(model, *options) -> str:
    key = ("--key", model.parent / "key.pub")
    done = invoke("verify", model, *key, *options, "--format", "json")
    (verdict,) = answers(done.stdout)
    return verdict["code"]


@pytest.mark.parametrize("threshold", [(), ("--threshold", "1")])
def test_a_root_that_names_logs_wants_an_entry_of_old_statements_too(model, instance, threshold):
    assert code(model, *threshold) == "accepted"
    root = ("--trusted-root", instance.trusted_root)
    assert code(model, *threshold, *root) == "not-logged"
