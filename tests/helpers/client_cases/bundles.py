# SPDX-License-Identifier: Apache-2.0
"""Shapes of bundles; signature, log entry and promise."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING

from workshop import ARTIFACT

from client_cases.case import (
    DSSE_V2,
    LATER,
    MEDIA,
    V1,
    V2,
    Case,
    Json,
    Shop,
    b64,
    case,
    entry_of,
    flipped,
    old,
    signature_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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
