# SPDX-License-Identifier: Apache-2.0
"""Statements, in every kind of log entry."""

from __future__ import annotations

import copy
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import ec
from workshop import ARTIFACT, KEYS, PAYLOAD, SUBJECT

from client_cases.bundles import logged_v1
from client_cases.case import (
    CASES,
    DSSE_V1,
    DSSE_V2,
    HASHED_V1,
    INTOTO,
    LATER,
    OLD_DSSE_V2,
    Case,
    Json,
    Shop,
    at,
    b64,
    case,
    entry_of,
    old,
    root_of,
    set_period,
    signature_of,
)
from modelseal.formats import intoto

if TYPE_CHECKING:
    from collections.abc import Callable


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
