# SPDX-License-Identifier: Apache-2.0
"""DSSE v1 envelopes, as they stand in a Sigstore bundle.

Source: secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from modelseal.errors import FormatError
from modelseal.formats.strict import as_kind, b64encode, member, optional, proto_bytes

_WHAT = "DSSE envelope"


class Signature(NamedTuple):
    """One signature; `keyid` is a hint and never used to decide anything."""

    sig: bytes
    keyid: str | None = None


class Envelope(NamedTuple):
    """Signed bytes with their type."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(obj: dict[str, Any]) -> Envelope:
    """Return the envelope in a decoded JSON object.

    Raises:
        FormatError: not an envelope with exactly one signature. A bundle holds one verification
            material, so a second signature could be checked by nothing.
    """
    unknown = obj.keys() - {"payload", "payloadType", "signatures"}
    if unknown:
        raise FormatError("unknown-member", f"The {_WHAT} has unknown members.")
    signatures = [
        _signature(as_kind(item, dict, what=f"signature of the {_WHAT}"))
        for item in member(obj, "signatures", list, what=_WHAT)
    ]
    if len(signatures) != 1:
        raise FormatError(
            "signature-count", f"The {_WHAT} has {len(signatures)} signatures, not one."
        )
    return Envelope(
        payload=proto_bytes(member(obj, "payload", str, what=_WHAT), what="payload"),
        payload_type=_payload_type(obj),
        signatures=tuple(signatures),
    )


def _payload_type(obj: dict[str, Any]) -> str:
    """Return the type, which is signed as UTF-8; JSON can spell half a character."""
    found = member(obj, "payloadType", str, what=_WHAT)
    try:
        found.encode()
    except UnicodeEncodeError as error:
        raise FormatError("payload-type", f"The payload type of the {_WHAT} is no text.") from error
    return found


def _signature(obj: dict[str, Any]) -> Signature:
    if obj.keys() - {"sig", "keyid"}:
        raise FormatError("unknown-member", f"A signature of the {_WHAT} has unknown members.")
    sig = proto_bytes(member(obj, "sig", str, what=_WHAT), what="signature")
    if not sig:
        raise FormatError("empty-signature", f"The signature of the {_WHAT} is empty.")
    return Signature(sig, optional(obj, "keyid", str, what=_WHAT))


def to_dict(envelope: Envelope) -> dict[str, Any]:
    """Return the JSON object of `envelope`; the inverse of `parse`."""
    return {
        "payload": b64encode(envelope.payload),
        "payloadType": envelope.payload_type,
        "signatures": [
            {"sig": b64encode(s.sig)} | ({} if s.keyid is None else {"keyid": s.keyid})
            for s in envelope.signatures
        ],
    }
