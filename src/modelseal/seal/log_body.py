# SPDX-License-Identifier: Apache-2.0
"""Whether the body of a log entry is about the signature beside it (Rekor version 2).

Without this check an entry of some other signature would do (CVE-2022-36056).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from modelseal.errors import Unverified
from modelseal.formats import dsse
from modelseal.formats.strict import b64encode, parse_json

if TYPE_CHECKING:
    from modelseal.formats.bundle import Bundle

DSSE = ("dsse", "0.0.2")  # kind and version of the entries that `check_dsse` reads
_LIMIT = 1024 * 1024  # bytes


def check_dsse(bundle: Bundle) -> None:
    """Check that the entry of `bundle` logs its envelope, signed by its certificate's P-256 key.

    The body is `DSSELogEntryV002` of sigstore/rekor-tiles, proto/rekor/v2/dsse.proto; sigstore-js
    logs statements so. It must say exactly what the rest of the bundle says, and nothing else.

    Raises:
        FormatError: the body is not JSON. Unverified: it says anything else.
    """
    (entry,) = bundle.entries
    envelope = bundle.content
    found = parse_json(entry.body, what="log entry", limit=_LIMIT)
    if not isinstance(envelope, dsse.Envelope) or found != _dsse_body(envelope, bundle):
        raise Unverified(
            "log-mismatch", "The transparency log entry is about another signature than this one."
        )


def _dsse_body(envelope: dsse.Envelope, bundle: Bundle) -> dict[str, object]:
    kind, version = DSSE
    digest = sha256(envelope.payload).digest()
    (signature,) = envelope.signatures
    logged = {
        "content": b64encode(signature.sig),
        "verifier": {
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "x509Certificate": {"rawBytes": b64encode(bundle.certificates[0])},
        },
    }
    spec = {
        "payloadHash": {"algorithm": "SHA2_256", "digest": b64encode(digest)},
        "signatures": [logged],
    }
    return {"apiVersion": version, "kind": kind, "spec": {"dsseV002": spec}}
