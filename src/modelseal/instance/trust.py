# SPDX-License-Identifier: Apache-2.0
"""What clients are given: trusted root, signing config, and both in a client trust config.

JSON forms of `sigstore_trustroot.proto` (sigstore/protobuf-specs). Every field here is one that
some stock client fails without.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from modelseal.formats import note
from modelseal.formats.strict import b64encode
from modelseal.instance.spki import spki

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from modelseal.instance.keys import Chain
    from modelseal.instance.state import State

_MEDIA_TYPE = "application/vnd.dev.sigstore"
_OPERATOR = "modelseal"


def trusted_root(state: State) -> dict[str, Any]:
    """Return the keys and certificates that verify what this instance signed."""
    valid = {"start": _time(state.start)}
    log_key, ct_key = state.keys.log.public_key(), state.keys.ct.public_key()
    return {
        "mediaType": f"{_MEDIA_TYPE}.trustedroot+json;version=0.1",
        "tlogs": [
            {
                # The host of this URL is the origin in checkpoints, wherever the log is reached:
                # Go clients compare the two, so each instance has a name of its own.
                "baseUrl": f"https://{state.origin}",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64encode(spki(log_key)),
                    "keyDetails": "PKIX_ED25519",
                    "validFor": valid,
                },
                "logId": {"keyId": b64encode(log_id(state))},
            }
        ],
        "certificateAuthorities": [_authority(state, state.keys.ca_chain, "")],
        "ctlogs": [
            {
                "baseUrl": f"{state.url}/ct",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64encode(spki(ct_key)),
                    "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                    "validFor": valid,
                },
                "logId": {"keyId": b64encode(sha256(spki(ct_key)).digest())},
            }
        ],
        "timestampAuthorities": [_authority(state, state.keys.tsa_chain, "/api/v1/timestamp")],
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


def log_id(state: State) -> bytes:
    """Return the key id by which entries and checkpoints name the transparency log."""
    key = state.keys.log.public_key().public_bytes_raw()
    return note.key_id(state.origin, note.ED25519, key)


def _authority(state: State, chain: Chain, path: str) -> dict[str, Any]:
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
        "validFor": {"start": _time(state.start)},
    }


def _attribute(name: x509.Name, kind: x509.ObjectIdentifier) -> str:
    return str(name.get_attributes_for_oid(kind)[0].value)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
