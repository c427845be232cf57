# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from verifying import authenticate_keyless

from modelseal.errors import FormatError, ModelSealError, Unverified
from modelseal.formats import intoto, oms

MANIFEST = oms.manifest([oms.Resource("a", sha256(b"a").digest())], ("model.sig",))
PAYLOAD = intoto.to_bytes(oms.to_statement(MANIFEST, "m"))


def encoded(bundle: dict) -> bytes:
    return json.dumps(bundle).encode()


def refusal(bundle: dict, forge) -> ModelSealError:
    with pytest.raises((FormatError, Unverified)) as refused:
        authenticate_keyless(encoded(bundle), forge.trust)
    assert refused.value.message
    assert len(refused.value.message) < 600
    return refused.value


def test_an_artifact(forge) -> None:
    found = authenticate_keyless(encoded(forge.artifact(b"content")), forge.trust)
    assert str(found.signer) == "alice@example.com (http://127.0.0.1:1)"
    assert found.kind == "artifact"
    assert found.manifest.resources[0].digest == sha256(b"content").digest()


def test_a_model(forge) -> None:
    found = authenticate_keyless(encoded(forge.statement(PAYLOAD)), forge.trust)
    assert found.kind == "oms"
    assert found.manifest == MANIFEST


def test_an_artifact_without_a_noted_digest_takes_the_logged_one(forge) -> None:
    bundle = forge.artifact(b"content")
    del bundle["messageSignature"]["messageDigest"]
    found = authenticate_keyless(encoded(bundle), forge.trust)
    assert found.manifest.resources[0].digest == sha256(b"content").digest()


def test_a_certificate_that_had_expired_when_signing(forge) -> None:
    assert refusal(forge.artifact(b"x", certified=-1200), forge).code == "certificate-expired"


def test_a_certificate_that_was_not_valid_yet_when_signing(forge) -> None:
    assert refusal(forge.artifact(b"x", stamped=-1200), forge).code == "certificate-expired"


def test_a_signature_of_long_ago_stays_good(forge) -> None:
    bundle = forge.artifact(b"x", certified=-3000, stamped=-2990)
    assert authenticate_keyless(encoded(bundle), forge.trust).kind == "artifact"


def test_another_trust_root(forge, other_forge) -> None:
    assert refusal(forge.artifact(b"x"), other_forge).code == "untrusted-certificate"


def test_a_statement_that_is_no_model_signature(forge) -> None:
    statement = json.loads(PAYLOAD) | {"predicateType": "https://slsa.dev/provenance/v1"}
    bundle = forge.statement(json.dumps(statement).encode())
    assert refusal(bundle, forge).code == "not-a-model-signature"


def test_a_payload_of_another_type(forge) -> None:
    bundle = forge.statement(PAYLOAD)
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"
    assert refusal(bundle, forge).code == "signature-invalid"


def test_the_entry_of_another_signature(forge) -> None:
    bundle, other = forge.artifact(b"x"), forge.artifact(b"y")
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    assert refusal(bundle, forge).code == "log-mismatch"


def test_the_timestamp_of_another_signature(forge) -> None:
    bundle, other = forge.artifact(b"x"), forge.artifact(b"y")
    name = "timestampVerificationData"
    bundle["verificationMaterial"][name] = other["verificationMaterial"][name]
    assert refusal(bundle, forge).code == "no-trusted-time"


def test_the_certificate_of_another_signature(forge) -> None:
    bundle = forge.artifact(b"x", stamped=60)  # when the other certificate is valid too
    other = forge.artifact(b"x")
    bundle["verificationMaterial"]["certificate"] = other["verificationMaterial"]["certificate"]
    assert refusal(bundle, forge).code == "signature-invalid"


@pytest.mark.parametrize(
    "path",
    [
        ("messageSignature", "signature"),
        ("messageSignature", "messageDigest", "digest"),
        ("verificationMaterial", "certificate", "rawBytes"),
        ("verificationMaterial", "tlogEntries", 0, "canonicalizedBody"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "rootHash"),
        ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "hashes", 0),
        ("verificationMaterial", "tlogEntries", 0, "logId", "keyId"),
        (
            "verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0,
            "signedTimestamp",
        ),
    ],
)  # fmt: skip
def test_one_flipped_bit_anywhere_is_refused(forge, path: tuple) -> None:
    forge.artifact(b"first")  # so that the proof has a hash to flip
    bundle = forge.artifact(b"content")
    inner = bundle
    for step in path[:-1]:
        inner = inner[step]
    raw = bytearray(b64decode(inner[path[-1]]))
    for at in {0, len(raw) // 3, len(raw) // 2, len(raw) - 1}:
        raw[at] ^= 1
        inner[path[-1]] = b64encode(raw).decode()
        refusal(bundle, forge)
        raw[at] ^= 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda b: b.pop("messageSignature"), "no-signature"),
        (lambda b: b.update(mediaType="text/plain"), "media-type"),
        (lambda b: b.update(extra=1), "unknown-member"),
        (lambda b: b["verificationMaterial"]["certificate"].update(raw_bytes="AAAA"),
         "duplicate-member"),
        (lambda b: b["verificationMaterial"]["tlogEntries"][0]["logId"].update(x=1),
         "unknown-member"),
        (lambda b: b["verificationMaterial"]["tlogEntries"][0]["kindVersion"].update(x=1),
         "unknown-member"),
        (lambda b: b["verificationMaterial"].pop("certificate"), "no-key-material"),
        (lambda b: b["verificationMaterial"].update(tlogEntries=[]), "not-keyless"),
        (lambda b: b["verificationMaterial"]["tlogEntries"].append(
            b["verificationMaterial"]["tlogEntries"][0]), "not-keyless"),
        (lambda b: b["verificationMaterial"].pop("timestampVerificationData"), "no-trusted-time"),
        (lambda b: b["verificationMaterial"]["tlogEntries"][0].pop("inclusionProof"), "not-logged"),
        (lambda b: b["verificationMaterial"]["certificate"].update(rawBytes="AAAA"),
         "bad-certificate"),
        (lambda b: b["messageSignature"]["messageDigest"].update(algorithm="SHA2_512"),
         "unsupported-digest"),
    ],
)  # fmt: skip
def test_bundles_of_a_wrong_shape(forge, change, code: str) -> None:
    bundle = copy.deepcopy(forge.artifact(b"content"))
    change(bundle)
    assert refusal(bundle, forge).code == code


def test_both_verifiers_must_agree(forge, caplog) -> None:
    bundle = forge.artifact(b"content")
    assert authenticate_keyless(encoded(bundle), forge.trust, "both").kind == "artifact"
    assert authenticate_keyless(encoded(bundle), forge.trust, "sigstore").kind == "artifact"

    wrong = copy.deepcopy(bundle)
    wrong["messageSignature"]["signature"] = "MAA="
    with pytest.raises(Unverified) as refused:
        authenticate_keyless(encoded(wrong), forge.trust, "both")
    assert refused.value.code == "no-trusted-time"  # both say no: the reason is ours
    assert not caplog.records

    # Nobody signs the time in an entry of this kind, and only our verifier looks at it.
    bundle["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = "5"
    with pytest.raises(Unverified) as refused:
        authenticate_keyless(encoded(bundle), forge.trust, "both")
    assert refused.value.code == "verifiers-disagree"
    (record,) = caplog.records
    assert "sigstore accepts, modelseal refuses" in record.getMessage()
    assert "certificate-expired" in record.getMessage()


@pytest.mark.parametrize(
    ("bend", "hint"),
    [
        (lambda m: m.update(publicKey={"hint": "x"}) or m.pop("certificate"), "--key"),
        (lambda m: m.update(tlogEntries=[]), "--certificate-chain"),
        (lambda m: m.update(tlogEntries=m["tlogEntries"] * 2), "modelseal sign"),
    ],
)
def test_what_no_identity_signed_says_how_to_verify_it(forge, bend, hint: str) -> None:
    bundle = copy.deepcopy(forge.artifact(b"content"))
    bend(bundle["verificationMaterial"])
    refused = refusal(bundle, forge)
    assert (refused.code, hint in refused.hint) == ("not-keyless", True)
