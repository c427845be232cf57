# SPDX-License-Identifier: Apache-2.0
"""The cases of the Sigstore client conformance suite, by its names, made here of real parts.

Each is what its README there asks for: a bundle, sometimes a trusted root or a key, and whether it
must verify ("_fail": it must not). All are asked of `tests/conformance/client` twice, with the
artifact and with its digest. Cases that the suite checks with the public instance have a root of
their own here; the instance itself is in tests/integration/test_conformance_client.py.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import runpy
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from modelseal.formats import checkpoint, intoto, merkle, note, sct
from modelseal.instance import pki
from modelseal.instance.tsa import TimestampAuthority

from .conftest import ARTIFACT, KEYS, PAYLOAD, SUBJECT

Json = dict[str, Any]

TESTS = Path(__file__).parents[3]
MAIN = runpy.run_path(str(TESTS / "conformance" / "client"))["main"]
ALICE, ISSUER = "alice@example.com", "http://127.0.0.1:1"
V1, V2 = ("artifact", "hashedrekord", "0.0.1"), ("artifact", "hashedrekord", "0.0.2")
DSSE_V1, DSSE_V2 = ("statement", "dsse", "0.0.1"), ("statement", "hashedrekord", "0.0.2")
OLD_DSSE_V2, HASHED_V1 = ("statement", "dsse", "0.0.2"), ("statement", "hashedrekord", "0.0.1")
INTOTO = ("statement", "intoto", "0.0.2")
MEDIA = "application/vnd.dev.sigstore.bundle+json;version="
DER = Encoding.DER
BY_NOBODY = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
LATER = 3600


class Case(NamedTuple):
    """What the client is asked; without a root the workshop's, without a key by identity."""

    bundle: Json | bytes
    root: Json | None = None
    key: Any = None
    artifact: bytes = ARTIFACT
    identity: bool | None = None  # None: as the key says


class Shop(NamedTuple):
    """What cases are made with."""

    workshop: Any
    other_forge: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.workshop, name)


CASES: dict[str, Callable[[Shop], Case]] = {}


def case(*names: str) -> Callable[[Callable[[Shop], Case]], Callable[[Shop], Case]]:
    def add(make: Callable[[Shop], Case]) -> Callable[[Shop], Case]:
        CASES.update(dict.fromkeys(names, make))
        return make

    return add


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def entry_of(bundle: Json) -> Json:
    return bundle["verificationMaterial"]["tlogEntries"][0]


def stamps_of(bundle: Json) -> list[Json]:
    return bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]


def signature_of(bundle: Json) -> bytes:
    if "messageSignature" in bundle:
        return b64decode(bundle["messageSignature"]["signature"])
    return b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])


def flipped(text: str) -> str:
    raw = bytearray(b64decode(text))
    raw[-1] ^= 1
    return b64(bytes(raw))


def old(bundle: Json, version: str, *more: Json) -> Json:
    """Return a version 1 bundle as it was before 0.3: with a chain."""
    material = dict(bundle["verificationMaterial"])
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), *more]}
    return bundle | {"mediaType": MEDIA + version, "verificationMaterial": material}


def root_of(shop: Shop, **changes: Any) -> Json:
    return copy.deepcopy(shop.root) | changes


def set_period(items: list[Json], **period: str) -> list[Json]:
    found = copy.deepcopy(items)
    for item in found:
        (item if "certChain" in item else item["publicKey"])["validFor"] = period
    return found


def at(seconds: float, base: datetime | None = None) -> str:
    return ((base or datetime.now(UTC)) + timedelta(seconds=seconds)).isoformat()


# -- bundles: their shape -------------------------------------------------------------------------


@case("bundle-malformed-json_fail")
def _(shop: Shop) -> Case:
    return Case(json.dumps(shop.bundle(*V2)).encode()[:-20])


@case("bundle-unknown-version_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V2) | {"mediaType": MEDIA + "99.9"})


@case("bundle-negative-log-index_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    entry_of(bundle)["logIndex"] = "-1"
    return Case(bundle)


@case("bundle-empty-certificate-chain_fail")
def _(shop: Shop) -> Case:
    bundle = old(shop.bundle(*V1), "0.2")
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = []
    return Case(bundle)


@case("bundle-invalid-base64-signature_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    bundle["messageSignature"]["signature"] = "not base64!"
    return Case(bundle)


@case("bundle-with-root-cert_fail")
def _(shop: Shop) -> Case:
    root = shop.root["certificateAuthorities"][0]["certChain"]["certificates"][-1]
    return Case(old(shop.bundle(*V1), "0.1", root))


@case("bundle-with-several-dsse-signatures_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*DSSE_V2)
    bundle["dsseEnvelope"]["signatures"] *= 2
    return Case(bundle)


@case("bundle-with-unknown-member_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V2) | {"unknown": {}})


@case("bundle-v0.3-with-chain_fail")
def _(shop: Shop) -> Case:
    return Case(old(shop.bundle(*V1), "0.3"))


@case("bundle-from-wrong-instance_fail")
def _(shop: Shop) -> Case:
    return Case(shop.other_forge.artifact(ARTIFACT))


@case("happy-path", "happy-path-v0.3-new-mediaType")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1))


@case("happy-path-v0.3")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1) | {"mediaType": MEDIA + "0.3"})


@case("happy-path-v0.2")
def _(shop: Shop) -> Case:
    return Case(old(shop.bundle(*V1), "0.2"))


@case("happy-path-v0.1")
def _(shop: Shop) -> Case:
    return Case(old(shop.bundle(*V1), "0.1"))


@case("happy-path-empty-artifact")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V2, artifact=b""), artifact=b"")


# -- signature, log entry, promise ----------------------------------------------------------------


@case("signature-mismatch_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    bundle["messageSignature"]["signature"] = b64(signature_of(shop.bundle(*V1)))
    return Case(bundle)


@case("message-digest-mismatch_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    digest = bundle["messageSignature"]["messageDigest"]
    digest["digest"] = flipped(digest["digest"])
    return Case(bundle)


@case("wrong-material_fail", "wrong-hashedrekord-artifact_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1), artifact=b"other weights")


@case("wrong-hashedrekord-entry_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    entries = shop.bundle(*V1, artifact=b"other weights")["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"]["tlogEntries"] = entries
    return Case(bundle)


@case("wrong-hashedrekord-cert-and-sig_fail", "cve-2022-36056-swapped-tlog-entry_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    entries = shop.bundle(*V1)["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"]["tlogEntries"] = entries
    return Case(bundle)


def logged_v1(shop: Shop, bundle: Json, change: Callable[[Json], None]) -> Json:
    """Return the bundle with its entry changed and logged again, by the same honest log."""
    entry = entry_of(bundle)
    body = json.loads(b64decode(entry["canonicalizedBody"]))
    change(body["spec"])
    raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    kind = entry["kindVersion"]
    made = shop.log_v1.entry(kind["kind"], kind["version"], raw, int(entry["integratedTime"]))
    bundle["verificationMaterial"]["tlogEntries"] = [made]
    return bundle


@case("incorrect-public-key_fail")
def _(shop: Shop) -> Case:
    other = json.loads(b64decode(entry_of(shop.bundle(*V1))["canonicalizedBody"]))
    key = other["spec"]["signature"]["publicKey"]

    def change(spec: Json) -> None:
        spec["signature"]["publicKey"] = key

    return Case(logged_v1(shop, shop.bundle(*V1), change))


@case("set-invalid-signature_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    promise = entry_of(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"])
    return Case(bundle)


@case("integrated-time-in-future_fail", "intoto-set-outside-signing-cert-validity_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1, stamped=LATER))


# -- proofs and checkpoints -----------------------------------------------------------------------


@case("inclusion-proof-corrupted-hash_fail")
def _(shop: Shop) -> Case:
    shop.bundle(*V2)
    bundle = shop.bundle(*V2)
    proof = entry_of(bundle)["inclusionProof"]
    proof["hashes"][0] = flipped(proof["hashes"][0])
    return Case(bundle)


@case("invalid-inclusion-proof_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    entry_of(bundle)["inclusionProof"] = entry_of(shop.bundle(*V1))["inclusionProof"]
    return Case(bundle)


@case("rekor2-no-inclusion-proof_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    del entry_of(bundle)["inclusionProof"]
    return Case(bundle)


def with_checkpoint(shop: Shop, envelope: str) -> Case:
    bundle = shop.bundle(*V1)
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = envelope
    return Case(bundle)


def checkpoint_of(bundle: Json) -> str:
    return entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"]


@case("checkpoint-bad-keyhint_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    read = note.parse_note(checkpoint_of(bundle).encode())
    (one,) = read.signatures
    changed = note.Signature(one.name, b"\0\0\0\0", one.signature)
    text = note.format_note(note.Note(read.text, (changed,))).decode()
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = text
    return Case(bundle)


@case("checkpoint-wrong-roothash_fail")
def _(shop: Shop) -> Case:
    return with_checkpoint(shop, shop.log_v1.checkpoint(b"another body"))


@case("invalid-checkpoint-signature_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    head, blob = checkpoint_of(bundle).rstrip("\n").rsplit(" ", 1)
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = f"{head} {flipped(blob)}\n"
    return Case(bundle)


def rekor2(shop: Shop, change: Callable[[str, note.Signature], str | bytes]) -> Case:
    """Return a version 2 entry in a log of one leaf; `change` makes the note of text and line."""
    bundle = shop.bundle(*V2)
    body = b64decode(entry_of(bundle)["canonicalizedBody"])
    entry = shop.log_v1.entry("hashedrekord", "0.0.2", body, 0)
    del entry["inclusionPromise"], entry["integratedTime"]
    entry["logIndex"] = "0"
    found = checkpoint.Checkpoint("rekor.test", 1, merkle.leaf_hash(body))
    text = checkpoint.format_checkpoint(found)
    signed = shop.log_v1.sign(text.encode())
    line = note.Signature("rekor.test", shop.log_v1.log_id[:4], signed)
    made = change(text, line)
    envelope = made if isinstance(made, str) else made.decode()
    entry["inclusionProof"]["checkpoint"]["envelope"] = envelope
    bundle["verificationMaterial"]["tlogEntries"] = [entry]
    return Case(bundle)


WITNESS = note.Signature("witness.test/w1", b"\1\2\3\4", b"cosignature" * 8)
SECOND_WITNESS = note.Signature("witness.test/w2", b"\5\6\7\x08", b"cosignature" * 8)
SECOND_KEY = note.Signature("rekor.test", b"\x09\x0a\x0b\x0c", b"by a later algorithm")


def signed_by(*others: note.Signature, first: bool = False) -> Callable[[Shop], Case]:
    def made(text: str, line: note.Signature) -> bytes:
        lines = (*others, line) if first else (line, *others)
        return note.format_note(note.Note(text, lines))

    return lambda shop: rekor2(shop, made)


CASES |= {
    "rekor2-happy-path": signed_by(),
    "rekor2-checkpoint-cosigned": signed_by(WITNESS),
    "rekor2-checkpoint-multiple-cosigs": signed_by(WITNESS, SECOND_WITNESS),
    "rekor2-checkpoint-origin-not-first": signed_by(WITNESS, first=True),
    "rekor2-checkpoint-two-sigs-from-origin": signed_by(SECOND_KEY),
    "rekor2-checkpoint-two-sigs-cosigned": signed_by(SECOND_KEY, WITNESS, first=True),
}


def without_line(number: int) -> Callable[[Shop], Case]:
    """Return a case whose signed text lacks a line; the log signed that very text."""

    def make(shop: Shop) -> Case:
        def made(text: str, _line: note.Signature) -> bytes:
            lines = text.splitlines(keepends=True)
            del lines[number]
            short = "".join(lines)
            signed = shop.log_v1.sign(short.encode())
            line = note.Signature("rekor.test", shop.log_v1.log_id[:4], signed)
            return note.format_note(note.Note(short, (line,)))

        return rekor2(shop, made)

    return make


CASES |= {
    "rekor2-checkpoint-missing-origin_fail": without_line(0),
    "rekor2-checkpoint-missing-size_fail": without_line(1),
    "rekor2-checkpoint-missing-root-hash_fail": without_line(2),
}


@case("rekor2-checkpoint-missing-log-signature_fail")
def _(shop: Shop) -> Case:
    return rekor2(shop, lambda text, _line: note.format_note(note.Note(text, (WITNESS,))))


@case("rekor2-checkpoint-no-matching-signature_fail")
def _(shop: Shop) -> Case:
    def made(text: str, line: note.Signature) -> bytes:
        other = note.Signature("other.test", line.key_hash, line.signature)
        return note.format_note(note.Note(text, (other,)))

    return rekor2(shop, made)


# -- statements -----------------------------------------------------------------------------------


@case("happy-path-intoto-in-dsse-v3")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*DSSE_V1))


@case("dsse-with-hashedrekord-happy-path")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*HASHED_V1))


@case("rekor2-dsse-happy-path")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*DSSE_V2))


@case("rekor2-dsse-in-dsse-entry-happy-path")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*OLD_DSSE_V2))


def statement(*digests: tuple[tuple[str, str], ...], **changes: Any) -> bytes:
    subjects = tuple(intoto.Subject(f"s{n}", one) for n, one in enumerate(digests)) or (SUBJECT,)
    obj = json.loads(intoto.to_bytes(intoto.Statement(subjects, "https://example.com/p", {})))
    kept = {name: value for name, value in (obj | changes).items() if value is not None}
    return json.dumps(kept).encode()


OF_ARTIFACT = ("sha256", sha256(ARTIFACT).hexdigest())


@case("dsse-with-several-subjects")
def _(shop: Shop) -> Case:
    other = ("sha256", sha256(b"other").hexdigest())
    payload = statement((other,), (("gitCommit", "00"), OF_ARTIFACT), (("sha512", "00"),))
    return Case(shop.bundle(*DSSE_V2, payload=payload))


@case("dsse-statement-v0.1")
def _(shop: Shop) -> Case:
    payload = statement(_type="https://in-toto.io/Statement/v0.1")
    return Case(shop.bundle(*DSSE_V2, payload=payload))


@case("dsse-statement-missing-type_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*DSSE_V2, payload=statement(_type=None)))


@case("dsse-statement-unknown-type_fail")
def _(shop: Shop) -> Case:
    payload = statement(_type="https://in-toto.io/Statement/v2")
    return Case(shop.bundle(*DSSE_V2, payload=payload))


@case("dsse-statement-of-another-subject_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*DSSE_V2), artifact=b"other weights")


@case("dsse-statement-without-subjects_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*DSSE_V2, payload=statement(subject=[])))


def of_one_key(shop: Shop, kind: tuple[str, str, str], payload: bytes) -> tuple[Json, Json]:
    """Return two bundles by one key, the second with `payload`."""
    key = ec.generate_private_key(ec.SECP256R1())
    with patch.dict(KEYS, {"P256": lambda: key}):
        return shop.bundle(*kind), shop.bundle(*kind, payload=payload)


def with_envelope(shop: Shop, bundle: Json, envelope: Json) -> Case:
    """Return the bundle with another envelope, of which a trusted authority knows too."""
    changed = copy.deepcopy(bundle) | {"dsseEnvelope": envelope}
    stamp = shop.stamp(signature_of(changed))
    changed["verificationMaterial"]["timestampVerificationData"] = stamp
    return Case(changed)


def signed_by_another(kind: tuple[str, str, str]) -> Callable[[Shop], Case]:
    def make(shop: Shop) -> Case:
        return with_envelope(shop, shop.bundle(*kind), shop.bundle(*kind)["dsseEnvelope"])

    return make


def not_what_was_logged(kind: tuple[str, str, str], payload: bytes) -> Callable[[Shop], Case]:
    def make(shop: Shop) -> Case:
        bundle, other = of_one_key(shop, kind, payload)
        return with_envelope(shop, bundle, other["dsseEnvelope"])

    return make


for _prefix, _kind in (
    ("dsse", DSSE_V1), ("rekor2-dsse", DSSE_V2), ("dsse-with-hashedrekord", HASHED_V1),
):  # fmt: skip
    CASES |= {
        f"{_prefix}-invalid-sig_fail": signed_by_another(_kind),
        f"{_prefix}-mismatch-sig_fail": not_what_was_logged(_kind, PAYLOAD),
        f"{_prefix}-mismatch-envelope_fail": not_what_was_logged(_kind, statement(other=1)),
    }


# -- intoto entries, with a trusted root of one's own ---------------------------------------------


def keep_payload(bundle: Json) -> Callable[[Json], None]:
    """Return what puts the payload into the entry, as logs do that make nothing canonical."""

    def change(spec: Json) -> None:
        payload = bundle["dsseEnvelope"]["payload"].encode()
        spec["content"]["envelope"]["payload"] = b64(payload)

    return change


@case("intoto-with-custom-trust-root")
def _(shop: Shop) -> Case:
    made = shop.bundle(*INTOTO)
    bundle = old(logged_v1(shop, made, keep_payload(made)), "0.2")
    bundle["verificationMaterial"]["timestampVerificationData"] = shop.stamp(signature_of(bundle))
    return Case(bundle)


@case("intoto-tsa-timestamp-outside-cert-validity_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*INTOTO)
    late = shop.stamp(signature_of(bundle), LATER)
    bundle["verificationMaterial"]["timestampVerificationData"] = late
    return Case(bundle)


@case("intoto-expired-certificate_fail")
def _(shop: Shop) -> Case:
    authorities = set_period(shop.root["certificateAuthorities"], start=at(-9e6), end=at(-LATER))
    return Case(shop.bundle(*INTOTO), root_of(shop, certificateAuthorities=authorities))


@case("intoto-log-entry-mismatch_fail")
def _(shop: Shop) -> Case:
    def change(spec: Json) -> None:
        spec["content"]["payloadHash"]["value"] = sha256(b"another payload").hexdigest()

    return Case(logged_v1(shop, shop.bundle(*INTOTO), change))


@case("intoto-missing-inclusion-proof_fail")
def _(shop: Shop) -> Case:
    bundle = old(shop.bundle(*INTOTO), "0.2")
    del entry_of(bundle)["inclusionProof"]
    return Case(bundle)


@case("intoto-canonical-log-entry")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*INTOTO, managed=key), key=key)


# -- timestamps -----------------------------------------------------------------------------------


@case("rekor2-no-timestamp_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    del bundle["verificationMaterial"]["timestampVerificationData"]
    return Case(bundle)


@case("rekor2-timestamp-payload-mismatch_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    bundle["verificationMaterial"]["timestampVerificationData"] = shop.stamp(b"other")
    return Case(bundle)


@case("rekor2-timestamp-with-incorrect-time_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    late = shop.stamp(signature_of(bundle), LATER)
    for one in late["rfc3161Timestamps"]:  # as `base64` writes it
        text = one["signedTimestamp"]
        one["signedTimestamp"] = "\n".join(text[n : n + 76] for n in range(0, len(text), 76))
    bundle["verificationMaterial"]["timestampVerificationData"] = late
    return Case(bundle)


@case("rekor2-multiple-timestamps-one-outside-cert-validity_fail")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    stamps_of(bundle).extend(shop.stamp(signature_of(bundle), LATER)["rfc3161Timestamps"])
    return Case(bundle)


@case("rekor2-multiple-timestamps")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V2)
    stamps_of(bundle).extend(shop.stamp(signature_of(bundle), 1)["rfc3161Timestamps"])
    return Case(bundle)


@case("rekor2-timestamp-outside-trust-root-tsa-validity_fail")
def _(shop: Shop) -> Case:
    authorities = set_period(shop.root["timestampAuthorities"], start=at(-9e6), end=at(-LATER))
    return Case(shop.bundle(*V2), root_of(shop, timestampAuthorities=authorities))


@case("rekor2-timestamp-wrong-tsa-validity-borrow_fail")
def _(shop: Shop) -> Case:
    authorities = set_period(shop.root["timestampAuthorities"], start=at(-9e6), end=at(-LATER))
    empty = {"uri": "https://tsa.test", "certChain": {"certificates": []}}
    authorities.append(empty | {"validFor": {"start": at(-LATER), "end": at(LATER)}})
    return Case(shop.bundle(*V2), root_of(shop, timestampAuthorities=authorities))


class Tsa(NamedTuple):
    """A timestamp authority of two certificates, valid for as long as asked."""

    authority: TimestampAuthority
    root_key: ec.EllipticCurvePrivateKey
    known: tuple[str, ...] = ()

    def until(self, end: datetime) -> Tsa:
        """Return one of the same keys, names and numbers, whose certificates last until `end`.

        It stamps at any time, as one does that has been stolen.
        """
        again = []
        for one in self.authority.chain:
            builder = (
                x509.CertificateBuilder()
                .subject_name(one.subject).issuer_name(one.issuer).public_key(one.public_key())
                .serial_number(one.serial_number)
                .not_valid_before(one.not_valid_before_utc).not_valid_after(end)
            )  # fmt: skip
            for extension in one.extensions:
                builder = builder.add_extension(extension.value, critical=extension.critical)
            again.append(builder.sign(self.root_key, hashes.SHA256()).public_bytes(DER))
        authority = TimestampAuthority(self.authority.key, self.authority.chain)
        vars(authority)["_certificate"] = asn1_x509.Certificate.load(again[0])
        return Tsa(authority, self.root_key, tuple(map(b64, again)))

    @property
    def chain(self) -> tuple[str, ...]:
        return self.known or tuple(b64(one.public_bytes(DER)) for one in self.authority.chain)

    def trusted(self, *chain: str) -> Json:
        certificates = [{"rawBytes": one} for one in chain or self.chain]
        valid = {"start": at(-9e6)}
        return {"uri": "https://tsa.test", "certChain": {"certificates": certificates},
                "validFor": valid}  # fmt: skip

    def stamp(self, signature: bytes, time: float, *, embedded: bool) -> Json:
        imprint = {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": sha256(signature).digest(),
        }
        query = {"version": "v1", "message_imprint": imprint, "cert_req": embedded}
        token = self.authority.respond(tsp.TimeStampReq(query).dump(), time)
        return {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}


def certificate(
    name: str, key: Any, issuer: x509.Certificate | None, by: Any, *extensions: tuple[Any, bool],
    start: float, end: float,
) -> x509.Certificate:  # fmt: skip
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(seconds=start))
        .not_valid_after(now + timedelta(seconds=end))
    )
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for extension, critical in ((signer, False), (own, False), *extensions):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(by, hashes.SHA256())


def tsa(start: float = -9e6, end: float = 9e6) -> Tsa:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = (x509.BasicConstraints(ca=True, path_length=0), True)
    issuing = (pki.key_usage(certificates=True), True)
    stamping = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True)
    signing = (pki.key_usage(certificates=False), True)
    root = certificate("tsa root", root_key, None, root_key, ca, issuing, start=start, end=end)
    leaf = certificate("tsa", key, root, root_key, signing, stamping, start=start, end=end)
    return Tsa(TimestampAuthority(key, (leaf, root)), root_key)


def stamped_by(made: Tsa, *, embedded: bool, trusted: Callable[[Tsa], Json | None]):
    def make(shop: Shop) -> Case:
        bundle = shop.bundle(*V2, certified=AGO)
        time = datetime.now(UTC).timestamp() + AGO
        bundle["verificationMaterial"]["timestampVerificationData"] = made.stamp(
            signature_of(bundle), time, embedded=embedded
        )
        extra = trusted(made)
        known = [*shop.root["timestampAuthorities"], *([extra] if extra else [])]
        return Case(bundle, root_of(shop, timestampAuthorities=known))

    return make


AGO = -1800  # seconds; when was signed
LASTING, ENDED = tsa(), tsa(end=AGO / 2)
CASES |= {
    "rekor2-timestamp-with-embedded-cert": stamped_by(LASTING, embedded=True, trusted=Tsa.trusted),
    "rekor2-timestamp-without-embedded-cert": stamped_by(
        LASTING, embedded=False, trusted=Tsa.trusted
    ),
    "rekor2-timestamp-with-embedded-cert-root-only": stamped_by(
        LASTING, embedded=True, trusted=lambda one: one.trusted(one.chain[-1])
    ),
    "rekor2-timestamp-with-expired-cert-chain": stamped_by(
        ENDED, embedded=True, trusted=Tsa.trusted
    ),
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": stamped_by(
        LASTING, embedded=True, trusted=lambda _: None
    ),
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": stamped_by(
        LASTING, embedded=False, trusted=lambda _: None
    ),
}


def with_tsa_until(seconds: float) -> Callable[[Shop], Case]:
    made = LASTING.until(datetime.now(UTC) + timedelta(seconds=seconds))
    return stamped_by(made, embedded=False, trusted=Tsa.trusted)


CASES |= {
    "rekor2-timestamp-inside-tsa-cert-validity": with_tsa_until(AGO / 2),
    "rekor2-timestamp-outside-tsa-cert-validity_fail": with_tsa_until(AGO * 2),
}


# -- managed keys ---------------------------------------------------------------------------------


@case("managed-key-happy-path")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2, managed=key), key=key)


@case("managed-key-of-p384-happy-path")
def _(shop: Shop) -> Case:
    """Only the artifact: of a digest by SHA-256 nobody could tell."""
    key = ec.generate_private_key(ec.SECP384R1())
    return Case(shop.bundle(*OLD_DSSE_V2, "P384", managed=key), key=key)


@case("managed-key-and-trusted-root")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    bundle = shop.bundle(*V2, managed=key)
    bundle["verificationMaterial"] = {"publicKey": {"hint": "a hint that nobody knows"}}
    return Case(bundle, BY_NOBODY, key)


@case("managed-key-wrong-key_fail")
def _(shop: Shop) -> Case:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    return Case(shop.bundle(*V2, managed=key), key=other)


@case("managed-key-no-key_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V2, managed=ec.generate_private_key(ec.SECP256R1())))


@case("managed-key-and-client-identity_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2, managed=key), key=key, identity=True)


@case("managed-key-for-certificate_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    return Case(shop.bundle(*V2), key=key)


@case("managed-key-without-log-entry_fail")
def _(shop: Shop) -> Case:
    key = ec.generate_private_key(ec.SECP256R1())
    bundle = shop.bundle(*V2, managed=key)
    del bundle["verificationMaterial"]["tlogEntries"]
    return Case(bundle, key=key)


# -- trusted roots --------------------------------------------------------------------------------


@case("trust-root-tlog-missing-validity-start_fail")
def _(shop: Shop) -> Case:
    return Case(shop.bundle(*V1), root_of(shop, tlogs=set_period(shop.root["tlogs"])))


@case("trust-root-tlog-validity-end-inclusive")
def _(shop: Shop) -> Case:
    bundle = shop.bundle(*V1)
    taken = datetime.fromtimestamp(int(entry_of(bundle)["integratedTime"]), UTC)
    period = {"start": at(-9e6), "end": at(0, taken)}
    return Case(bundle, root_of(shop, tlogs=set_period(shop.root["tlogs"], **period)))


def ending(seconds: int) -> Callable[[Shop], Case]:
    def make(shop: Shop) -> Case:
        bundle = shop.bundle(*V2)
        token = tsp.TimeStampResp.load(b64decode(stamps_of(bundle)[0]["signedTimestamp"]))
        info = token["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed
        period = {"start": at(-9e6), "end": at(seconds, info["gen_time"].native)}
        authorities = set_period(shop.root["timestampAuthorities"], **period)
        return Case(bundle, root_of(shop, timestampAuthorities=authorities))

    return make


CASES |= {
    "trust-root-tsa-validity-end-inclusive": ending(0),
    "trust-root-tsa-validity-ended-before_fail": ending(-1),
}


@case("trust-root-log-of-two-periods")
def _(shop: Shop) -> Case:
    """The log was trusted, then not, and is again; each period has its own place in the root."""
    ended = set_period(shop.root["tlogs"], start=at(-9e6), end=at(-8e6))
    return Case(shop.bundle(*V1), root_of(shop, tlogs=[*ended, *shop.root["tlogs"]]))


@case("trust-root-another-key-under-the-id-of-a-log")
def _(shop: Shop) -> Case:
    others = copy.deepcopy(shop.root["tlogs"])
    for one in others:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        one["publicKey"]["keyDetails"] = "PKIX_ECDSA_P256_SHA_256"
        one["publicKey"]["rawBytes"] = b64(key.public_bytes(DER, PublicFormat.SubjectPublicKeyInfo))
    return Case(shop.bundle(*V2), root_of(shop, tlogs=[*others, *shop.root["tlogs"]]))


@case("trust-root-of-unknown-keys-too")
def _(shop: Shop) -> Case:
    root = root_of(shop)
    for name in ("tlogs", "ctlogs"):
        unknown = copy.deepcopy(root[name][0])
        unknown["publicKey"] |= {"keyDetails": "ML_DSA_65", "rawBytes": "AAAA"}
        unknown["logId"]["keyId"] = b64(b"\1" * 32)
        root[name].insert(0, unknown)
    return Case(shop.bundle(*V2), root)


@case("invalid-ct-key_fail")
def _(shop: Shop) -> Case:
    logs = copy.deepcopy(shop.root["ctlogs"])
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = other.public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)
    logs[0]["publicKey"]["rawBytes"] = b64(spki)
    return Case(shop.bundle(*V2), root_of(shop, ctlogs=logs))


@case("sct-duplicate-intermediate-name")
def _(shop: Shop) -> Case:
    known = shop.root["certificateAuthorities"]
    raw = b64decode(known[0]["certChain"]["certificates"][0]["rawBytes"])
    key = ec.generate_private_key(ec.SECP256R1())
    same = x509.load_der_x509_certificate(raw).subject
    decoy = (
        x509.CertificateBuilder()
        .subject_name(same).issuer_name(same).public_key(key.public_key()).serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2045, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(pki.key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    chain = {"certificates": [{"rawBytes": b64(decoy.public_bytes(DER))}]}
    added = {"uri": "https://ca.test", "certChain": chain, "validFor": {"start": at(-9e6)}}
    return Case(shop.bundle(*V2), root_of(shop, certificateAuthorities=[added, *known]))


@case("trust-root-ca-chain-with-a-later-certificate")
def _(shop: Shop) -> Case:
    """Of another CA, which began when the signature was made long ago."""
    known = copy.deepcopy(shop.root["certificateAuthorities"])
    key = ec.generate_private_key(ec.SECP256R1())
    ca = (x509.BasicConstraints(ca=True, path_length=0), True)
    later = certificate("later", key, None, key, ca, start=-60, end=9e6).public_bytes(DER)
    known[0]["certChain"]["certificates"].insert(1, {"rawBytes": b64(later)})
    return Case(shop.bundle(*V2, certified=AGO), root_of(shop, certificateAuthorities=known))


@case("bundle-with-sct-with-extensions")
def _(shop: Shop) -> Case:
    """A CT log whose timestamps name the leaf's index in an extension, as those with tiles do."""
    log = shop.services.ca.ct_log
    real = log.add

    def add(tbs: bytes, issuer: x509.Certificate, now: float) -> sct.Sct:
        plain = real(tbs, issuer, now)
        spki = issuer.public_key().public_bytes(DER, PublicFormat.SubjectPublicKeyInfo)
        extensions = b"\0\0\5\0\0\0\0\7"
        leaf = sct.precert_leaf(plain.timestamp, sha256(spki).digest(), tbs, extensions)
        signed = log.key.sign(leaf, ec.ECDSA(hashes.SHA256()))
        return sct.Sct(plain.log_id, plain.timestamp, signed, extensions)

    object.__setattr__(log, "add", add)
    try:
        return Case(shop.bundle(*V2))
    finally:
        object.__delattr__(log, "add")


# Why each case that must fail is refused: for the reason that its name gives, and no other.
REASONS = {
    "authority-expired": """
        intoto-expired-certificate
    """,
    "bad-bundle": """
        bundle-v0.3-with-chain
        bundle-with-root-cert
    """,
    "bad-checkpoint": """
        rekor2-checkpoint-missing-origin
        rekor2-checkpoint-missing-root-hash
        rekor2-checkpoint-missing-size
    """,
    "bad-integer": """
        bundle-negative-log-index
    """,
    "certificate-expired": """
        integrated-time-in-future
        intoto-set-outside-signing-cert-validity
        intoto-tsa-timestamp-outside-cert-validity
        rekor2-multiple-timestamps-one-outside-cert-validity
        rekor2-timestamp-with-incorrect-time
    """,
    "checkpoint-mismatch": """
        checkpoint-bad-keyhint
        checkpoint-wrong-roothash
        invalid-checkpoint-signature
        rekor2-checkpoint-missing-log-signature
        rekor2-checkpoint-no-matching-signature
    """,
    "log-mismatch": """
        cve-2022-36056-swapped-tlog-entry
        dsse-mismatch-envelope
        dsse-mismatch-sig
        dsse-with-hashedrekord-mismatch-envelope
        dsse-with-hashedrekord-mismatch-sig
        incorrect-public-key
        intoto-log-entry-mismatch
        rekor2-dsse-mismatch-envelope
        rekor2-dsse-mismatch-sig
        wrong-hashedrekord-cert-and-sig
        wrong-hashedrekord-entry
    """,
    "media-type": """
        bundle-unknown-version
    """,
    "missing-member": """
        dsse-statement-missing-type
    """,
    "no-key-material": """
        bundle-empty-certificate-chain
    """,
    "no-trusted-time": """
        rekor2-no-timestamp
        rekor2-timestamp-outside-trust-root-tsa-validity
        rekor2-timestamp-outside-tsa-cert-validity
        rekor2-timestamp-payload-mismatch
        rekor2-timestamp-untrusted-tsa-with-embedded-cert
        rekor2-timestamp-untrusted-tsa-without-embedded-cert
        trust-root-tsa-validity-ended-before
    """,
    "not-base64": """
        bundle-invalid-base64-signature
    """,
    "not-by-key": """
        managed-key-for-certificate
    """,
    "not-json": """
        bundle-malformed-json
    """,
    "not-keyless": """
        managed-key-no-key
    """,
    "not-logged": """
        inclusion-proof-corrupted-hash
        intoto-missing-inclusion-proof
        invalid-inclusion-proof
        managed-key-without-log-entry
        rekor2-no-inclusion-proof
    """,
    "promise-invalid": """
        set-invalid-signature
    """,
    "sct-invalid": """
        invalid-ct-key
    """,
    "signature-count": """
        bundle-with-several-dsse-signatures
    """,
    "signature-invalid": """
        dsse-invalid-sig
        dsse-with-hashedrekord-invalid-sig
        managed-key-wrong-key
        message-digest-mismatch
        rekor2-dsse-invalid-sig
        signature-mismatch
        wrong-hashedrekord-artifact
        wrong-material
    """,
    "statement-type": """
        dsse-statement-unknown-type
    """,
    "subject-mismatch": """
        dsse-statement-of-another-subject
        dsse-statement-without-subjects
    """,
    "trust-root": """
        rekor2-timestamp-wrong-tsa-validity-borrow
        trust-root-tlog-missing-validity-start
    """,
    "unknown-member": """
        bundle-with-unknown-member
    """,
    "untrusted-certificate": """
        bundle-from-wrong-instance
    """,
    "whose": """
        managed-key-and-client-identity
    """,
}
REASON_OF = {f"{name}_fail": code for code, names in REASONS.items() for name in names.split()}


# -- asking ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(workshop, other_forge) -> Shop:
    return Shop(workshop, other_forge)


Client = Callable[[list[str]], tuple[int, str]]


def ours(arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = MAIN(arguments)
    return status, said.getvalue()


def sigstore_go(arguments: list[str]) -> tuple[int, str]:
    peers = runpy.run_path(str(TESTS.parent / "scripts" / "peers" / "install.py"))
    done = subprocess.run(
        [peers["SIGSTORE_GO"], *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def ask(made: Case, shop: Shop, folder: Path, given: str, client: Client = ours) -> tuple[int, str]:
    """Return the client's exit status and what it said."""
    raw = made.bundle if isinstance(made.bundle, bytes) else json.dumps(made.bundle).encode()
    bundle, root, key = (folder / name for name in ("bundle.json", "root.json", "key.pub"))
    bundle.write_bytes(raw)
    root.write_text(json.dumps(made.root or shop.root))
    whose: list[object] = []
    if made.key is not None:
        pem = made.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key.write_bytes(pem)
        whose = ["--key", key]
    if made.key is None or made.identity:
        whose += ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER]
    arguments = ["verify-bundle", "--bundle", bundle, *whose, "--trusted-root", root, given]
    return client([str(one) for one in arguments])


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("by", ["PATH", "DIGEST"])
def test_case(name: str, by: str, shop: Shop, tmp_path: Path) -> None:
    made = CASES[name](shop)
    artifact = tmp_path / "a.txt"
    artifact.write_bytes(made.artifact)
    given = str(artifact) if by == "PATH" else f"sha256:{sha256(made.artifact).hexdigest()}"
    status, said = ask(made, shop, tmp_path, given)
    if name.endswith("_fail"):
        assert status in {1, 2}
        assert f"[{REASON_OF[name]}]" in said
    else:
        assert status == 0, said


def test_a_file_named_like_a_digest_is_a_file(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"sha256:{sha256(b'something else').hexdigest()}"
    Path(name).write_bytes(ARTIFACT)
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, name)[0] == 0
    Path(name).unlink()
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, name)[0] == 1


@pytest.mark.parametrize(
    "given", ["sha256:00", "sha256:" + "g" * 64, "sha512:" + "0" * 128, "gone"]
)
def test_what_is_no_digest_is_a_path(given, shop, tmp_path):
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, given)[0] == 2


# Where sigstore-go 1.3.0 says otherwise: docs/verification.md, "Differences".
GO_DIFFERS = frozenset(
    [
        "bundle-with-root-cert_fail",
        "dsse-statement-missing-type_fail",
        "dsse-statement-unknown-type_fail",
        "dsse-with-hashedrekord-happy-path",
        "managed-key-and-client-identity_fail",
        "managed-key-and-trusted-root",
        "managed-key-of-p384-happy-path",
        "rekor2-dsse-in-dsse-entry-happy-path",
        "rekor2-multiple-timestamps-one-outside-cert-validity_fail",
        "trust-root-of-unknown-keys-too",
    ]
)


@pytest.mark.interop
@pytest.mark.parametrize("name", sorted(CASES))
def test_sigstore_go_agrees(name: str, shop: Shop, tmp_path: Path) -> None:
    made = CASES[name](shop)
    artifact = tmp_path / "a.txt"
    artifact.write_bytes(made.artifact)
    for given in (str(artifact), f"sha256:{sha256(made.artifact).hexdigest()}"):
        status, said = ask(made, shop, tmp_path, given, sigstore_go)
        accepted = name.endswith("_fail") == (name in GO_DIFFERS)
        assert (status == 0) == accepted, said
