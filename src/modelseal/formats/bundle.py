# SPDX-License-Identifier: Apache-2.0
"""The Sigstore bundle, v0.1 to v0.3, as values.

Source: sigstore/protobuf-specs, protos/sigstore_bundle.proto, in the JSON mapping of Protocol
Buffers (64-bit integers may be strings, bytes are base64, null is absent). Unknown members are
refused: what is not understood may change what was meant.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeVar

from modelseal.errors import FormatError, shown
from modelseal.formats import dsse
from modelseal.formats.strict import (
    as_kind,
    b64encode,
    known,
    member,
    optional,
    parse_proto,
    proto_bytes,
)

LIMIT = 32 * 1024 * 1024  # bytes; an OMS bundle needs some 230 a file

MEDIA_TYPES = {
    "application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
    "application/vnd.dev.sigstore.bundle.v0.3+json": "0.3",
}

_MAX_ITEMS = 64  # certificates, log entries, timestamps, proof hashes: real ones have far fewer
_MAX_INT64 = 2**63 - 1
T = TypeVar("T")


class MessageSignature(NamedTuple):
    """A signature over an artifact; the digest is the signer's note, not yet checked."""

    signature: bytes
    digest: bytes | None = None
    algorithm: str | None = None


class InclusionProof(NamedTuple):
    """That a leaf is in a log: RFC 6962 audit path and the signed checkpoint of the tree."""

    log_index: int
    root_hash: bytes
    tree_size: int
    hashes: tuple[bytes, ...]
    checkpoint: str | None


class LogEntry(NamedTuple):
    """One entry of a transparency log; `integrated_time` in seconds since 1970 (0: none)."""

    log_index: int
    log_id: bytes
    kind: str
    version: str
    integrated_time: int
    promise: bytes | None
    proof: InclusionProof | None
    body: bytes


class Bundle(NamedTuple):
    """Signature, who made it (certificates leaf first, or a key hint), log entries, timestamps."""

    media_type: str
    certificates: tuple[bytes, ...]
    key_hint: str | None
    entries: tuple[LogEntry, ...]
    timestamps: tuple[bytes, ...]
    content: MessageSignature | dsse.Envelope
    chained: bool = False  # certificates stood in a chain message, not as a single certificate
    raw_key: bytes | None = None  # model-signing before 1.1: the public key, instead of a hint

    @property
    def version(self) -> str:
        """Return "0.1", "0.2" or "0.3"."""
        return MEDIA_TYPES[self.media_type]


def parse(data: bytes) -> Bundle:
    """Return the bundle in `data`.

    Raises:
        FormatError: too large, not JSON, another media type, or any member of the wrong shape; what
            is known to be something else is called by its name ("other-kind").
    """
    try:
        return _parse(data)
    except FormatError as error:
        from modelseal.formats import kinds  # noqa: PLC0415 - only for what is no bundle

        other = kinds.refusal(data)
        if other is None:
            raise
        raise other from error


def _parse(data: bytes) -> Bundle:
    obj = parse_proto(data, what="bundle", limit=LIMIT)
    media_type = member(obj, "mediaType", str, what="bundle")
    if media_type not in MEDIA_TYPES:
        raise FormatError(
            "media-type",
            f"The bundle has the media type '{shown(media_type)}', which is not one of a Sigstore "
            f"bundle of version 0.1 to 0.3.",
            "Use a newer modelseal if it is of a newer version; else check which file it is.",
        )
    known(obj, "bundle", "mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope")
    material = member(obj, "verificationMaterial", dict, what="bundle")
    certificates, key_hint, raw_key = _key_material(material)
    stamps = optional(material, "timestampVerificationData", dict, what="bundle") or {}
    known(stamps, "timestamp data", "rfc3161Timestamps")
    return Bundle(
        media_type=media_type,
        certificates=certificates,
        key_hint=key_hint,
        entries=tuple(_entry(e) for e in _items(material, "tlogEntries")),
        timestamps=tuple(
            _only_bytes(t, "signedTimestamp", "timestamp")
            for t in _items(stamps, "rfc3161Timestamps")
        ),
        content=_content(obj),
        chained=material.get("x509CertificateChain") is not None,
        raw_key=raw_key,
    )


def _items(obj: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = optional(obj, name, list, what="bundle") or []
    if len(items) > _MAX_ITEMS:
        raise FormatError("too-many", f"The bundle has more than {_MAX_ITEMS} {name}.")
    return [as_kind(item, dict, what=name) for item in items]


def _bytes(obj: dict[str, Any], name: str, what: str) -> bytes:
    return proto_bytes(member(obj, name, str, what=what), what=f"{name} of the {what}")


def _only_bytes(obj: dict[str, Any], name: str, what: str) -> bytes:
    """Return the one member of an object that has just that."""
    known(obj, what, name)
    return _bytes(obj, name, what)


def _int(obj: dict[str, Any], name: str, what: str) -> int:
    """Return a 64-bit integer; absent means 0, as Go clients leave out zero fields."""
    value = obj.get(name)
    if value is None:
        return 0
    if type(value) is str and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of 2**63
        value = int(value)
    if type(value) is not int or not 0 <= value <= _MAX_INT64:
        raise FormatError("bad-integer", f"The {name} of the {what} is not a 64-bit count.")
    return value


def _key_material(
    material: dict[str, Any],
) -> tuple[tuple[bytes, ...], str | None, bytes | None]:
    kinds = ("certificate", "x509CertificateChain", "publicKey")
    known(
        material, "verification material", *kinds, "tlogEntries", "timestampVerificationData"
    )  # fmt: skip
    present = [kind for kind in kinds if material.get(kind) is not None]
    if len(present) != 1:
        raise FormatError(
            "no-key-material", "The bundle must have one certificate, chain or public key."
        )
    inner = member(material, present[0], dict, what="verification material")
    if present[0] == "publicKey":
        known(inner, "public key", "hint", "rawBytes", "keyDetails")
        raw = _bytes(inner, "rawBytes", "public key") if "rawBytes" in inner else None
        return (), optional(inner, "hint", str, what="public key") or "", raw
    if present[0] == "certificate":
        return (_only_bytes(inner, "rawBytes", "certificate"),), None, None
    known(inner, "certificate chain", "certificates")
    chain = tuple(_only_bytes(c, "rawBytes", "certificate") for c in _items(inner, "certificates"))
    if not chain:
        raise FormatError("no-key-material", "The certificate chain of the bundle is empty.")
    return chain, None, None


def parse_entry(data: bytes) -> LogEntry:
    """Return the log entry in `data`, the JSON of one member of `tlogEntries`.

    Raises:
        FormatError: as `parse`.
    """
    return _entry(parse_proto(data, what="log entry", limit=LIMIT))


def _entry(obj: dict[str, Any]) -> LogEntry:
    what = "log entry"
    known(
        obj, what, "logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise",
        "inclusionProof", "canonicalizedBody",
    )  # fmt: skip
    kind = member(obj, "kindVersion", dict, what=what)
    known(kind, "kind version", "kind", "version")
    promise = optional(obj, "inclusionPromise", dict, what=what)
    proof = optional(obj, "inclusionProof", dict, what=what)
    return LogEntry(
        log_index=_int(obj, "logIndex", what),
        log_id=_only_bytes(member(obj, "logId", dict, what=what), "keyId", "log id"),
        kind=member(kind, "kind", str, what="kind version"),
        version=member(kind, "version", str, what="kind version"),
        integrated_time=_int(obj, "integratedTime", what),
        promise=(_only_bytes(promise, "signedEntryTimestamp", "promise") if promise else b"")
        or None,
        proof=_proof(proof) if proof else None,
        body=_bytes(obj, "canonicalizedBody", what),
    )


def _proof(obj: dict[str, Any]) -> InclusionProof:
    what = "inclusion proof"
    known(obj, what, "logIndex", "rootHash", "treeSize", "hashes", "checkpoint")
    hashes = optional(obj, "hashes", list, what=what) or []
    if len(hashes) > _MAX_ITEMS:
        raise FormatError("too-many", f"The {what} has more than {_MAX_ITEMS} hashes.")
    checkpoint = optional(obj, "checkpoint", dict, what=what) or {}
    known(checkpoint, "checkpoint", "envelope")
    return InclusionProof(
        log_index=_int(obj, "logIndex", what),
        root_hash=_bytes(obj, "rootHash", what),
        tree_size=_int(obj, "treeSize", what),
        hashes=tuple(proto_bytes(as_kind(h, str, what="hash"), what="hash") for h in hashes),
        checkpoint=member(checkpoint, "envelope", str, what="checkpoint") if checkpoint else None,
    )


def _content(obj: dict[str, Any]) -> MessageSignature | dsse.Envelope:
    message = optional(obj, "messageSignature", dict, what="bundle")
    envelope = optional(obj, "dsseEnvelope", dict, what="bundle")
    if (message is None) == (envelope is None):
        raise FormatError(
            "no-signature", "The bundle must have either a message signature or a DSSE envelope."
        )
    if envelope is not None:
        return dsse.parse(envelope)
    if message is None:  # unreachable; tells the type checker so
        raise FormatError("no-signature", "The bundle has no signature.")
    known(message, "message signature", "messageDigest", "signature")
    signature = _bytes(message, "signature", "message signature")
    digest = optional(message, "messageDigest", dict, what="message signature")
    if digest is None:
        return MessageSignature(signature)
    known(digest, "message digest", "algorithm", "digest")
    return MessageSignature(
        signature,
        _bytes(digest, "digest", "message digest"),
        member(digest, "algorithm", str, what="message digest"),
    )


def to_bytes(bundle: Bundle) -> bytes:
    """Return the JSON of `bundle`; `parse` reads it back as the same value."""
    material: dict[str, Any] = {"tlogEntries": [_entry_dict(e) for e in bundle.entries]}
    if bundle.key_hint is not None:
        material["publicKey"] = {"hint": bundle.key_hint}
        if bundle.raw_key is not None:
            material["publicKey"]["rawBytes"] = b64encode(bundle.raw_key)
    elif bundle.chained:
        chain = [{"rawBytes": b64encode(c)} for c in bundle.certificates]
        material["x509CertificateChain"] = {"certificates": chain}
    else:
        material["certificate"] = {"rawBytes": b64encode(bundle.certificates[0])}
    if bundle.timestamps:
        material["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": b64encode(t)} for t in bundle.timestamps]
        }
    obj: dict[str, Any] = {"mediaType": bundle.media_type, "verificationMaterial": material}
    if isinstance(bundle.content, dsse.Envelope):
        obj["dsseEnvelope"] = dsse.to_dict(bundle.content)
    else:
        obj["messageSignature"] = _message_dict(bundle.content)
    return json.dumps(obj).encode()


def _message_dict(message: MessageSignature) -> dict[str, Any]:
    obj: dict[str, Any] = {"signature": b64encode(message.signature)}
    if message.digest is not None:
        obj["messageDigest"] = {
            "algorithm": message.algorithm,
            "digest": b64encode(message.digest),
        }
    return obj


def _entry_dict(entry: LogEntry) -> dict[str, Any]:
    obj: dict[str, Any] = {
        "logIndex": str(entry.log_index),
        "logId": {"keyId": b64encode(entry.log_id)},
        "kindVersion": {"kind": entry.kind, "version": entry.version},
        "integratedTime": str(entry.integrated_time),
        "canonicalizedBody": b64encode(entry.body),
    }
    if entry.promise is not None:
        obj["inclusionPromise"] = {"signedEntryTimestamp": b64encode(entry.promise)}
    if entry.proof is not None:
        obj["inclusionProof"] = {
            "logIndex": str(entry.proof.log_index),
            "rootHash": b64encode(entry.proof.root_hash),
            "treeSize": str(entry.proof.tree_size),
            "hashes": [b64encode(h) for h in entry.proof.hashes],
        }
        if entry.proof.checkpoint is not None:
            obj["inclusionProof"]["checkpoint"] = {"envelope": entry.proof.checkpoint}
    return obj
