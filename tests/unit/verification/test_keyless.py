# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import new, sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from verifying import proved, proved_by_key
from workshop import LogV1

from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.formats import note
from modelseal.trust.signature import Prehashed
from modelseal.trust.trust_root import TrustRoot

ARTIFACT = b"weights"
KEYS = {"P256": "sha256", "P384": "sha384", "P521": "sha512", "RSA": "sha256"}
MAKE = {
    "P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}
CASES = [
    ("artifact", "hashedrekord", "0.0.2"), ("statement", "hashedrekord", "0.0.2"),
    ("statement", "dsse", "0.0.2"), ("artifact", "hashedrekord", "0.0.1"),
    ("statement", "hashedrekord", "0.0.1"), ("statement", "dsse", "0.0.1"),
    ("statement", "intoto", "0.0.2"),
]  # fmt: skip


def verify(bundle: dict, trust, artifact: bytes | Prehashed = ARTIFACT):
    return proved(bundle_format.parse(json.dumps(bundle).encode()), trust, artifact)


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


# -- the trusted root's periods -------------------------------------------------------------------

V1 = ("artifact", "hashedrekord", "0.0.1")
V2 = ("artifact", "hashedrekord", "0.0.2")


def changed(workshop, change) -> TrustRoot:
    root = copy.deepcopy(workshop.root)
    change(root)
    return TrustRoot(json.dumps(root).encode(), "changed root")


def at(time: datetime, **period) -> dict[str, str]:
    """Return a period that ends (or starts) so many seconds from `time`."""
    whole = {"start": datetime(2020, 1, 1, tzinfo=UTC)}
    moved = {name: time + timedelta(seconds=seconds) for name, seconds in period.items()}
    return {name: value.isoformat() for name, value in (whole | moved).items()}


def set_periods(root: dict, name: str, period: dict[str, str]) -> None:
    for item in root[name]:
        holder = item if "certChain" in item else item["publicKey"]
        holder["validFor"] = period


@pytest.mark.parametrize(
    ("kind", "name", "refusal"),
    [
        (V1, "tlogs", "log-expired"),
        (V2, "timestampAuthorities", "no-trusted-time"),
        (V2, "certificateAuthorities", "authority-expired"),
    ],
)
def test_periods_of_trust_are_closed(kind, name, refusal, workshop):
    bundle = workshop.bundle(*kind)
    (time,) = verify(bundle, workshop.trust).times
    for period in ({"end": 0}, {"start": 0}):
        trust = changed(workshop, lambda r, p=period: set_periods(r, name, at(time, **p)))
        assert verify(bundle, trust).times == (time,)
    for period in ({"end": -1}, {"start": 1}):
        trust = changed(workshop, lambda r, p=period: set_periods(r, name, at(time, **p)))
        assert code(bundle, trust) == refusal


@pytest.mark.parametrize(
    ("period", "refusal"),
    [({"end": 0}, None), ({"end": -1}, "log-expired"), ({"start": 1}, "log-expired")],
)
def test_a_version_2_log_that_was_not_trusted_when_others_saw_the_signature(
    period, refusal, workshop
):
    bundle = workshop.bundle(*V2)
    (time,) = verify(bundle, workshop.trust).times
    trust = changed(workshop, lambda r: set_periods(r, "tlogs", at(time, **period)))
    if refusal is None:
        assert verify(bundle, trust).times
    else:
        assert code(bundle, trust) == refusal


def test_a_ct_log_that_was_not_trusted_when_it_promised(workshop):
    bundle = workshop.bundle(*V2)
    (time,) = verify(bundle, workshop.trust).times
    trust = changed(workshop, lambda r: set_periods(r, "ctlogs", at(time, end=-60)))
    assert code(bundle, trust) == "sct-invalid"


@pytest.mark.parametrize(
    "name", ["tlogs", "ctlogs", "timestampAuthorities", "certificateAuthorities"]
)
@pytest.mark.parametrize("period", [{}, {"end": "2030-01-01T00:00:00Z"}, {"start": "yesterday"}])
def test_a_root_without_a_start_of_trust_is_no_root(name, period, workshop):
    bundle = workshop.bundle(*V2)
    trust = changed(workshop, lambda root: set_periods(root, name, period))
    assert code(bundle, trust) == "trust-root"


def test_a_stranger_lends_its_period_to_nobody(workshop):
    bundle = workshop.bundle(*V2)
    (time,) = verify(bundle, workshop.trust).times

    def change(root: dict) -> None:
        set_periods(root, "timestampAuthorities", at(time, end=-60))
        stranger = copy.deepcopy(root["certificateAuthorities"][0])
        root["timestampAuthorities"].append(stranger | {"validFor": at(time)})

    assert code(bundle, changed(workshop, change)) == "no-trusted-time"


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("tlogs", "unknown-log"), ("ctlogs", "sct-invalid"),
        ("timestampAuthorities", "no-trusted-time"),
        ("certificateAuthorities", "untrusted-certificate"),
    ],
)  # fmt: skip
def test_what_a_root_does_not_name_is_not_believed(name, refusal, workshop):
    trust = changed(workshop, lambda root: root.pop(name))
    assert code(workshop.bundle(*V2), trust) == refusal


def test_a_key_of_an_unknown_kind_is_left_out_of_the_root(workshop):
    def change(root: dict) -> None:
        for log in root["tlogs"]:
            log["publicKey"]["keyDetails"] = "ML_DSA_65"

    assert code(workshop.bundle(*V2), changed(workshop, change)) == "unknown-log"


def test_a_ca_of_the_same_name_is_no_obstacle(workshop, other_forge):
    def change(root: dict) -> None:
        strangers = json.loads(other_forge.trust.json)["certificateAuthorities"]
        root["certificateAuthorities"] = strangers + root["certificateAuthorities"]

    assert verify(workshop.bundle(*V2), changed(workshop, change)).times


# -- times ----------------------------------------------------------------------------------------


def test_every_timestamp_must_be_in_the_certificates_validity(workshop):
    bundle = workshop.bundle(*V2)
    signature = b64decode(bundle["messageSignature"]["signature"])
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps += workshop.stamp(signature, 1)["rfc3161Timestamps"]
    assert len(verify(bundle, workshop.trust).times) == 2
    stamps += workshop.stamp(signature, 3600)["rfc3161Timestamps"]
    assert code(bundle, workshop.trust) == "certificate-expired"


def test_a_timestamp_twice_is_refused(workshop):
    bundle = workshop.bundle(*V2)
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps *= 2
    assert code(bundle, workshop.trust) == "bad-timestamp"


def test_a_promise_does_not_make_up_for_a_bad_timestamp(workshop):
    bundle = workshop.bundle(*V1)
    bundle["verificationMaterial"]["timestampVerificationData"] = workshop.stamp(b"other")
    assert code(bundle, workshop.trust) == "no-trusted-time"


# -- checkpoints ----------------------------------------------------------------------------------


def with_checkpoint(workshop, *others: note.Signature, **changes) -> dict:
    bundle = workshop.bundle(*V1)
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    body = b64decode(entry["canonicalizedBody"])
    text = workshop.log_v1.checkpoint(body, *others, **changes)
    entry["inclusionProof"]["checkpoint"]["envelope"] = text
    return bundle


def test_signatures_of_witnesses_are_passed_over(workshop):
    witness = note.Signature("witness.example/w1", b"\1\2\3\4", b"cosignature")
    for others in ((witness,), (witness, witness)):
        assert verify(with_checkpoint(workshop, *others), workshop.trust).times


def test_a_bad_signature_in_the_name_of_the_log_spoils_the_checkpoint(workshop):
    same_hint = note.Signature("rekor.test", workshop.log_v1.log_id[:4], b"of another algorithm")
    assert code(with_checkpoint(workshop, same_hint), workshop.trust) == "checkpoint-mismatch"


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [("rekor.test", True), ("any name - 12", True), ("rekor.example", False), ("a - b", False)],
)
def test_the_origin_is_the_host_but_for_version_1(origin, accepted, workshop):
    bundle = with_checkpoint(workshop, origin=origin)
    # Without a tree number the log counts in one tree, so both indexes are the same.
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    if " - 12" not in origin:
        entry["logIndex"] = "0"
        promised = canonical_promise(workshop, entry)
        entry["inclusionPromise"]["signedEntryTimestamp"] = promised
    if accepted:
        assert verify(bundle, workshop.trust).times
    else:
        assert code(bundle, workshop.trust) == "checkpoint-mismatch"


def canonical_promise(workshop, entry: dict) -> str:
    promised = {
        "body": entry["canonicalizedBody"], "integratedTime": int(entry["integratedTime"]),
        "logID": workshop.log_v1.log_id.hex(), "logIndex": int(entry["logIndex"]),
    }  # fmt: skip
    text = json.dumps(promised, sort_keys=True, separators=(",", ":"))
    return b64encode(workshop.log_v1.sign(text.encode())).decode()


@pytest.mark.parametrize("line", [0, 1, 2, -2])
def test_a_checkpoint_without_one_of_its_lines(line, workshop):
    bundle = workshop.bundle(*V1)
    checkpoint = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]
    lines = checkpoint["envelope"].split("\n")
    del lines[line]
    checkpoint["envelope"] = "\n".join(lines)
    assert code(bundle, workshop.trust) in {"bad-note", "bad-checkpoint", "checkpoint-mismatch"}


SIGNS = {
    "PKIX_ECDSA_P256_SHA_256": ("P256", lambda k, m: k.sign(m, ec.ECDSA(hashes.SHA256()))),
    "PKIX_ECDSA_P384_SHA_384": ("P384", lambda k, m: k.sign(m, ec.ECDSA(hashes.SHA384()))),
    "PKIX_ECDSA_P521_SHA_512": ("P521", lambda k, m: k.sign(m, ec.ECDSA(hashes.SHA512()))),
    "PKIX_RSA_PKCS1V15_2048_SHA256": (
        "RSA", lambda k, m: k.sign(m, padding.PKCS1v15(), hashes.SHA256())
    ),
    "PKIX_RSA_PSS_2048_SHA256": (
        "RSA", lambda k, m: k.sign(m, padding.PSS(padding.MGF1(hashes.SHA256()), 32),
                                   hashes.SHA256())
    ),
    "PKIX_ED25519": ("Ed25519", lambda k, m: k.sign(m)),
}  # fmt: skip


class AnyLog(LogV1):
    """A log with a key of any kind, which it uses as `sign` says."""

    def __init__(self, key, details: str, sign) -> None:
        self.key, self.details, self._sign = key, details, sign
        self.spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.log_id = sha256(self.spki).digest()

    def sign(self, message: bytes) -> bytes:
        return self._sign(self.key, message)

    def trusted(self, *period: datetime) -> dict:
        root = super().trusted(*period)
        root["publicKey"]["keyDetails"] = self.details
        return root

    def logged(self, workshop, **root: dict) -> tuple[dict, TrustRoot]:
        """Return a bundle in this log, and a root that names it."""
        bundle = workshop.bundle(*V1)
        entry = bundle["verificationMaterial"]["tlogEntries"][0]
        body, at = b64decode(entry["canonicalizedBody"]), int(entry["integratedTime"])
        bundle["verificationMaterial"]["tlogEntries"] = [self.entry(*V1[1:], body, at)]
        trusted = self.trusted(datetime.now(UTC) - timedelta(days=1)) | root
        return bundle, changed(workshop, lambda r: r["tlogs"].append(trusted))


@pytest.mark.parametrize("details", SIGNS)
def test_logs_with_every_kind_of_key(details, workshop):
    name, sign = SIGNS[details]
    make = MAKE | {"Ed25519": ed25519.Ed25519PrivateKey.generate}
    assert verify(*AnyLog(make[name](), details, sign).logged(workshop)).times


def test_a_log_signs_by_the_hash_of_its_key(workshop):
    _, sign = SIGNS["PKIX_ECDSA_P256_SHA_256"]
    log = AnyLog(MAKE["P384"](), "PKIX_ECDSA_P384_SHA_384", sign)
    assert code(*log.logged(workshop)) == "promise-invalid"


def test_checkpoints_may_name_their_log_by_another_id(workshop):
    name, sign = SIGNS["PKIX_ECDSA_P256_SHA_256"]
    log = AnyLog(MAKE[name](), "PKIX_ECDSA_P256_SHA_256", sign)
    real, log.log_id = log.log_id, sha256(b"another id").digest()
    bundle, _ = log.logged(workshop)  # all in the name of the other id
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    entry["logId"]["keyId"] = b64encode(real).decode()
    log.log_id = real
    promised = {
        "body": entry["canonicalizedBody"], "integratedTime": int(entry["integratedTime"]),
        "logID": real.hex(), "logIndex": int(entry["logIndex"]),
    }  # fmt: skip
    text = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    entry["inclusionPromise"]["signedEntryTimestamp"] = b64encode(log.sign(text)).decode()
    named = {"checkpointKeyId": {"keyId": b64encode(sha256(b"another id").digest()).decode()}}
    for extra, accepted in (({}, False), ({"checkpointKeyId": None}, False), (named, True)):
        _, trust = log.logged(workshop, **extra)
        if accepted:
            assert verify(bundle, trust).times
        else:
            assert code(bundle, trust) == "checkpoint-mismatch"


# -- bundles --------------------------------------------------------------------------------------


def test_a_version_0_3_bundle_has_no_chain(workshop):
    bundle = workshop.bundle(*V2)
    material = bundle["verificationMaterial"]
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    assert code(bundle, workshop.trust) == "bad-bundle"
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    assert verify(bundle, workshop.trust).times
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    assert code(bundle, workshop.trust) == "bad-bundle"


def test_a_chain_brings_no_root(workshop):
    """Issuers come from the trusted root; what else is in a chain is not even looked at."""
    bundle = workshop.bundle(*V1) | {
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2"
    }
    material = bundle["verificationMaterial"]
    (authority,) = workshop.root["certificateAuthorities"]
    *between, root = authority["certChain"]["certificates"]
    certificates = [material.pop("certificate"), *between]
    material["x509CertificateChain"] = {"certificates": certificates}
    assert verify(bundle, workshop.trust).times
    certificates.append(root)
    assert code(bundle, workshop.trust) == "bad-bundle"


def test_an_intoto_entry_may_keep_the_payload(workshop):
    bundle = workshop.bundle("statement", "intoto", "0.0.2")
    entry = bundle["verificationMaterial"]["tlogEntries"][0]
    body = json.loads(b64decode(entry["canonicalizedBody"]))
    payload = bundle["dsseEnvelope"]["payload"].encode()
    body["spec"]["content"]["envelope"]["payload"] = b64encode(payload).decode()
    raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    bundle["verificationMaterial"]["tlogEntries"] = [
        workshop.log_v1.entry("intoto", "0.0.2", raw, int(entry["integratedTime"]))
    ]
    assert verify(bundle, workshop.trust).times


# -- by key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize(("what", "kind", "version"), CASES)
def test_a_managed_key_in_every_kind_of_entry(what, kind, version, name, workshop):
    private = MAKE[name]()
    bundle = workshop.bundle(what, kind, version, name, managed=private)
    parsed = bundle_format.parse(json.dumps(bundle).encode())
    for trust in (None, workshop.trust):
        assert proved_by_key(parsed, private.public_key(), trust, ARTIFACT) is not None
    with pytest.raises(ModelSealError) as refused:
        proved_by_key(parsed, MAKE[name]().public_key(), workshop.trust, ARTIFACT)
    assert refused.value.code == "signature-invalid"


def test_a_root_that_names_logs_wants_an_entry(workshop):
    private = MAKE["P256"]()
    bundle = workshop.bundle(*V2, managed=private)
    bundle["verificationMaterial"]["tlogEntries"] = []
    parsed = bundle_format.parse(json.dumps(bundle).encode())
    with pytest.raises(ModelSealError) as refused:
        proved_by_key(parsed, private.public_key(), workshop.trust, ARTIFACT)
    assert refused.value.code == "not-logged"
    no_logs = changed(workshop, lambda root: root.pop("tlogs"))
    assert proved_by_key(parsed, private.public_key(), no_logs, ARTIFACT)


def test_a_certificate_is_no_key(workshop):
    parsed = bundle_format.parse(json.dumps(workshop.bundle(*V2)).encode())
    with pytest.raises(ModelSealError) as refused:
        proved_by_key(parsed, MAKE["P256"]().public_key(), None, ARTIFACT)
    assert refused.value.code == "not-by-key"
