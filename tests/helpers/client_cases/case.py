# SPDX-License-Identifier: Apache-2.0
"""What a case of the client conformance suite is, and what cases are made with."""

from __future__ import annotations

import copy
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding
from workshop import ARTIFACT

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

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
