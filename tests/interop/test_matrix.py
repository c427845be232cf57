# SPDX-License-Identifier: Apache-2.0
"""Who verifies whom: every client signs, every client verifies, and refuses what was altered."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from itertools import product

import pytest

pytestmark = pytest.mark.interop

CLIENTS = ("modelseal", "sigstore-js", "sigstore-go", "cosign")
PEERS = CLIENTS[1:]
# Either side of a refusal is this project; what peers refuse of each other is their business.
WITH_US = [("modelseal", peer) for peer in PEERS] + [(peer, "modelseal") for peer in PEERS]
KINDS = ("artifact", "statement")
# sigstore-js logs a statement as dsse 0.0.2, which Go clients of these versions do not read.
UNREADABLE = {("sigstore-js", "sigstore-go", "statement"), ("sigstore-js", "cosign", "statement")}
MATRIX = [case for case in product(CLIENTS, CLIENTS, KINDS) if case not in UNREADABLE]


@pytest.mark.parametrize(("signer", "verifier", "kind"), MATRIX)
def test_every_client_verifies_every_client(signer, verifier, kind, lab):
    done = lab.verified(verifier, kind, lab.signed(signer, kind))
    assert done.returncode == 0, done.stderr + done.stdout


QUESTIONS = [
    (wrong, *pair, kind)
    for wrong, pair, kind in product(("identity", "issuer", "models"), WITH_US, KINDS)
    # sigstore-js checks a statement; its subject is the caller's to compare.
    if (wrong, pair[1], kind) != ("models", "sigstore-js", "statement")
]


@pytest.mark.parametrize(("wrong", "signer", "verifier", "kind"), QUESTIONS)
def test_another_question_is_answered_no(wrong, signer, verifier, kind, lab):
    changed = {
        "identity": "mallory@example.com",
        "issuer": "http://127.0.0.1:1",
        "models": lab.other_models,
    }
    bundle = lab.signed(signer, kind)
    assert lab.verified(verifier, kind, bundle, **{wrong: changed[wrong]}).returncode != 0


# -- altered bundles -------------------------------------------------------------------------------


def flipped(text: str, index: int = -6) -> str:
    """Return base64 with one bit of the encoded bytes changed."""
    raw = bytearray(b64decode(text))
    raw[index] ^= 1
    return b64encode(raw).decode()


def signature(bundle, _other):
    if "dsseEnvelope" in bundle:
        one = bundle["dsseEnvelope"]["signatures"][0]
        one["sig"] = flipped(one["sig"])
    else:
        bundle["messageSignature"]["signature"] = flipped(bundle["messageSignature"]["signature"])


def content(bundle, other):
    """Put what another model's bundle signs in place of what was signed."""
    if "dsseEnvelope" in bundle:
        bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    else:
        bundle["messageSignature"] = other["messageSignature"]


def certificate(bundle, _other):
    material = bundle["verificationMaterial"]
    # sigstore-js puts the certificate of an artifact into a chain of one.
    chain = material.get("x509CertificateChain", {}).get("certificates")
    leaf = chain[0] if chain else material["certificate"]
    leaf["rawBytes"] = flipped(leaf["rawBytes"])


def no_timestamp(bundle, _other):
    del bundle["verificationMaterial"]["timestampVerificationData"]


def timestamp_of_another(bundle, other):
    stamps = other["verificationMaterial"]["timestampVerificationData"]
    bundle["verificationMaterial"]["timestampVerificationData"] = stamps


def no_log_entry(bundle, _other):
    bundle["verificationMaterial"]["tlogEntries"] = []


def log_entry_of_another(bundle, other):
    entries = other["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"]["tlogEntries"] = entries


def log_body_of_another(bundle, other):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    (of_other,) = other["verificationMaterial"]["tlogEntries"]
    entry["canonicalizedBody"] = of_other["canonicalizedBody"]


def checkpoint(bundle, _other):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    signed = entry["inclusionProof"]["checkpoint"]
    text, _, line = signed["envelope"].rpartition(" ")
    signed["envelope"] = f"{text} {flipped(line.strip())}\n"


def inclusion_path(bundle, _other):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    hashes = entry["inclusionProof"]["hashes"]
    hashes[0] = flipped(hashes[0])


ALTERED = (
    signature, content, certificate, no_timestamp, timestamp_of_another, no_log_entry,
    log_entry_of_another, log_body_of_another, checkpoint, inclusion_path,
)  # fmt: skip


ALTERATIONS = [
    (alter, *pair, kind)
    for alter, pair, kind in product(ALTERED, WITH_US, KINDS)
    # Go clients read no version 2 body: they make it from the rest and prove that one.
    if not (alter is log_body_of_another and pair[1] in {"sigstore-go", "cosign"})
]


@pytest.mark.parametrize(
    ("alter", "signer", "verifier", "kind"),
    [pytest.param(*case, id=f"{case[0].__name__}-{'-'.join(case[1:])}") for case in ALTERATIONS],
)
def test_an_altered_bundle_is_refused(alter, signer, verifier, kind, lab, tmp_path):  # noqa: PLR0917 - pytest passes names
    bundle = json.loads(lab.signed(signer, kind).read_text())
    alter(bundle, json.loads(lab.signed(signer, kind, other=True).read_text()))
    altered = tmp_path / "altered.json"
    altered.write_text(json.dumps(bundle))
    assert lab.verified(verifier, kind, altered).returncode != 0
