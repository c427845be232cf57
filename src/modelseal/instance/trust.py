# SPDX-License-Identifier: Apache-2.0
"""What clients are given: trusted root, signing config, and both in a client trust config.

JSON forms of `sigstore_trustroot.proto` (sigstore/protobuf-specs). Every field here is one that
some stock client fails without.
"""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from modelseal.formats.strict import b64encode
from modelseal.instance.spki import spki
from modelseal.instance.tlog import key_id

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    from modelseal.instance.keys import Authority, Chain, CtKey, LogKey
    from modelseal.instance.state import State

_MEDIA_TYPE = "application/vnd.dev.sigstore"
_OPERATOR = "modelseal"
_OVERLAP = timedelta(hours=1)
T = TypeVar("T", bound="Authority | CtKey | LogKey")


def trusted_root(state: State) -> dict[str, Any]:
    """Return the keys and certificates that verify what this instance signed, and soon will."""
    keys = state.keys
    return {
        "mediaType": f"{_MEDIA_TYPE}.trustedroot+json;version=0.1",
        "tlogs": [_tlog(state, one.public, valid) for one, valid in _valid(keys.log)],
        "certificateAuthorities": [
            _authority(state, one.chain, "", valid) for one, valid in _valid(keys.ca)
        ],
        "ctlogs": [_ctlog(state, one.public, valid) for one, valid in _valid(keys.ct)],
        "timestampAuthorities": [
            _authority(state, one.chain, "/api/v1/timestamp", valid)
            for one, valid in _valid(keys.tsa)
        ],
    }


def _valid(ring: tuple[T, ...]) -> list[tuple[T, dict[str, str]]]:
    """Return each key with its validity.

    Those of two neighbours overlap: clocks differ, and a signing that is under way takes a while.
    """
    periods = []
    for number, one in enumerate(ring):
        # The first begins an hour before the instance was made.
        period = {"start": _time(one.start - (_OVERLAP if number else timedelta()))}
        if one is not ring[-1]:
            period["end"] = _time(ring[number + 1].start + _OVERLAP)
        periods.append((one, period))
    return periods


def _tlog(state: State, key: ed25519.Ed25519PublicKey, valid: dict[str, str]) -> dict[str, Any]:
    return {
        # The host of this URL is the origin in checkpoints, wherever the log is reached: Go clients
        # compare the two, so each instance has a name of its own.
        "baseUrl": f"https://{state.origin}",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(spki(key)),
            "keyDetails": "PKIX_ED25519",
            "validFor": valid,
        },
        "logId": {"keyId": b64encode(key_id(state.origin, key))},
    }


def _ctlog(state: State, key: ec.EllipticCurvePublicKey, valid: dict[str, str]) -> dict[str, Any]:
    return {
        "baseUrl": f"{state.url}/ct",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64encode(spki(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": valid,
        },
        "logId": {"keyId": b64encode(sha256(spki(key)).digest())},
    }


def signing_config(state: State) -> dict[str, Any]:
    """Return where to sign."""

    def services(path: str, version: int) -> list[dict[str, Any]]:
        return [
            {
                "url": state.url + path,
                "majorApiVersion": version,
                "validFor": {"start": _time(state.start)},
                "operator": _OPERATOR,
            }
        ]

    return {
        "mediaType": f"{_MEDIA_TYPE}.signingconfig.v0.2+json",
        "caUrls": services("", 1),
        "oidcUrls": services("", 1),
        "rekorTlogUrls": services("", 2),
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaUrls": services("/api/v1/timestamp", 1),
        "tsaConfig": {"selector": "ANY"},
    }


def trust_config(state: State) -> dict[str, Any]:
    """Return the file that `sigstore --trust-config` takes."""
    return {
        "mediaType": f"{_MEDIA_TYPE}.clienttrustconfig.v0.1+json",
        "trustedRoot": trusted_root(state),
        "signingConfig": signing_config(state),
    }


def to_bytes(document: dict[str, Any]) -> bytes:
    """Return `document` as it is served and written; the same bytes for the same document."""
    return json.dumps(document, indent=2).encode() + b"\n"


def _authority(state: State, chain: Chain, path: str, valid: dict[str, str]) -> dict[str, Any]:
    subject = chain[-1].subject
    return {
        "subject": {
            "organization": _attribute(subject, NameOID.ORGANIZATION_NAME),
            "commonName": _attribute(subject, NameOID.COMMON_NAME),
        },
        "uri": state.url + path,
        "certChain": {
            "certificates": [
                {"rawBytes": b64encode(item.public_bytes(serialization.Encoding.DER))}
                for item in chain
            ]
        },
        "validFor": valid,
    }


def _attribute(name: x509.Name, kind: x509.ObjectIdentifier) -> str:
    return str(name.get_attributes_for_oid(kind)[0].value)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
