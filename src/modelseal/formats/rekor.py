# SPDX-License-Identifier: Apache-2.0
"""Bodies of log entries (leaves): what the log saw signed, by which key.

Sources: sigstore/rekor, pkg/types (Rekor version 1: hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.2);
sigstore/rekor-tiles, api/proto/rekor/v2 (Rekor version 2: hashedrekord 0.0.2, dsse 0.0.2).
Unknown members are refused, but for hashes that a version 1 log keeps of what it did not store.
"""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.formats.strict import (
    as_kind,
    b64decode,
    b64encode,
    member,
    optional,
    parse_json,
)

LIMIT = 1024 * 1024  # bytes

Kind = tuple[str, str]
Subject = Literal["digest", "payload"]
HashName = Literal["sha256", "sha384", "sha512"]

HASHEDREKORD_V1: Kind = ("hashedrekord", "0.0.1")
DSSE_V1: Kind = ("dsse", "0.0.1")
INTOTO_V1: Kind = ("intoto", "0.0.2")
HASHEDREKORD_V2: Kind = ("hashedrekord", "0.0.2")
DSSE_V2: Kind = ("dsse", "0.0.2")
V1 = (HASHEDREKORD_V1, DSSE_V1, INTOTO_V1)

# How the bodies of the two versions call one hash; bundles have the names of version 2.
HASH_NAMES: dict[str, HashName] = {
    "SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512",
}  # fmt: skip
_V2_HASH_NAMES = {name: v2 for v2, name in HASH_NAMES.items()}
_V1_HASH_NAMES: dict[str, HashName] = {name: name for name in _V2_HASH_NAMES}
_WHAT = "log entry"
_MAX_SIGNATURES = 64


class LoggedSignature(NamedTuple):
    """A signature and its key: PEM in version 1; DER, a form and `keyDetails` in version 2."""

    signature: bytes
    verifier: bytes
    form: Literal["pem", "x509Certificate", "publicKey"] = "pem"
    key_details: str = ""


class Body(NamedTuple):
    """What was logged: `digest` (by `algorithm`) of the signed bytes, or of a DSSE payload."""

    kind: Kind
    algorithm: HashName
    digest: bytes
    signatures: tuple[LoggedSignature, ...]


def parse(data: bytes) -> Body:
    """Return the body of a log entry.

    Raises:
        FormatError: not JSON, of a kind that is not known, or of another shape.
    """
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT), dict, what=_WHAT)
    _only(obj, "apiVersion", "kind", "spec")
    kind = member(obj, "kind", str, what=_WHAT), member(obj, "apiVersion", str, what=_WHAT)
    reader = _READERS.get(kind)
    if reader is None:
        raise FormatError(
            "unsupported-entry",
            f"The log entry is of the kind '{shown(' '.join(kind), 60)}', which is not read here.",
        )
    return reader(member(obj, "spec", dict, what=_WHAT))


def _hashedrekord_v1(spec: dict[str, Any]) -> Body:
    _only(spec, "data", "signature")
    data = member(spec, "data", dict, what=_WHAT)
    _only(data, "hash")
    algorithm, digest = _hex_hash(data, "hash")
    signature = member(spec, "signature", dict, what=_WHAT)
    _only(signature, "content", "publicKey")
    key = member(signature, "publicKey", dict, what=_WHAT)
    _only(key, "content")
    logged = LoggedSignature(_bytes(signature, "content"), _bytes(key, "content"))
    return Body(HASHEDREKORD_V1, algorithm, digest, (logged,))


def _dsse_v1(spec: dict[str, Any]) -> Body:
    _only(spec, "envelopeHash", "payloadHash", "signatures")
    algorithm, digest = _hex_hash(spec, "payloadHash")
    signatures = []
    for item in _signatures(spec):
        _only(item, "signature", "verifier")
        signatures.append(LoggedSignature(_bytes(item, "signature"), _bytes(item, "verifier")))
    return Body(DSSE_V1, algorithm, digest, tuple(signatures))


def _intoto_v1(spec: dict[str, Any]) -> Body:
    _only(spec, "content")
    content = member(spec, "content", dict, what=_WHAT)
    _only(content, "envelope", "hash", "payloadHash")
    algorithm, digest = _hex_hash(content, "payloadHash")
    envelope = member(content, "envelope", dict, what=_WHAT)
    # Entries that were not made canonical keep the payload, of which the hash says all there is.
    _only(envelope, "payload", "payloadType", "signatures")
    signatures = []
    for item in _signatures(envelope):
        _only(item, "sig", "publicKey", "keyid")
        # The signature is base64 of the base64 that stands in the envelope.
        inner = _bytes(item, "sig")
        text = inner.decode("ascii", "replace")
        signature = b64decode(text, what="signature of the log entry")
        signatures.append(LoggedSignature(signature, _bytes(item, "publicKey")))
    return Body(INTOTO_V1, algorithm, digest, tuple(signatures))


def _hashedrekord_v2(spec: dict[str, Any]) -> Body:
    _only(spec, "hashedRekordV002")
    inner = member(spec, "hashedRekordV002", dict, what=_WHAT)
    _only(inner, "data", "signature")
    algorithm, digest = _hash_output(inner, "data")
    signature = _logged_v2(member(inner, "signature", dict, what=_WHAT))
    return Body(HASHEDREKORD_V2, algorithm, digest, (signature,))


def _dsse_v2(spec: dict[str, Any]) -> Body:
    _only(spec, "dsseV002")
    inner = member(spec, "dsseV002", dict, what=_WHAT)
    _only(inner, "payloadHash", "signatures")
    algorithm, digest = _hash_output(inner, "payloadHash")
    return Body(DSSE_V2, algorithm, digest, tuple(_logged_v2(s) for s in _signatures(inner)))


_READERS = {
    HASHEDREKORD_V1: _hashedrekord_v1, DSSE_V1: _dsse_v1, INTOTO_V1: _intoto_v1,
    HASHEDREKORD_V2: _hashedrekord_v2, DSSE_V2: _dsse_v2,
}  # fmt: skip


def _logged_v2(obj: dict[str, Any]) -> LoggedSignature:
    _only(obj, "content", "verifier")
    verifier = member(obj, "verifier", dict, what=_WHAT)
    _only(verifier, "keyDetails", "x509Certificate", "publicKey")
    details = optional(verifier, "keyDetails", str, what=_WHAT) or ""  # 0, "unspecified"
    certificate = optional(verifier, "x509Certificate", dict, what=_WHAT)
    key = optional(verifier, "publicKey", dict, what=_WHAT)
    if certificate is not None and key is None:
        _only(certificate, "rawBytes")
        raw = _bytes(certificate, "rawBytes")
        return LoggedSignature(_bytes(obj, "content"), raw, "x509Certificate", details)
    if key is not None and certificate is None:
        _only(key, "rawBytes")
        return LoggedSignature(
            _bytes(obj, "content"), _bytes(key, "rawBytes"), "publicKey", details
        )
    raise FormatError("bad-entry", "A log entry names either a certificate or a public key.")


def _signatures(obj: dict[str, Any]) -> list[dict[str, Any]]:
    items = member(obj, "signatures", list, what=_WHAT)
    if len(items) > _MAX_SIGNATURES:
        raise FormatError("too-many", f"The {_WHAT} has more than {_MAX_SIGNATURES} signatures.")
    return [as_kind(item, dict, what="signature of the log entry") for item in items]


def _hex_hash(obj: dict[str, Any], name: str) -> tuple[HashName, bytes]:
    inner = member(obj, name, dict, what=_WHAT)
    _only(inner, "algorithm", "value")
    algorithm = _V1_HASH_NAMES.get(member(inner, "algorithm", str, what=_WHAT))
    value = member(inner, "value", str, what=_WHAT)
    try:
        digest = bytes.fromhex(value)
    except ValueError as error:
        raise FormatError("bad-digest", "The log entry has no digest in hex.") from error
    if algorithm is None or digest.hex() != value:
        raise FormatError("bad-digest", "The log entry has no digest in hex of a known hash.")
    return algorithm, digest


def _hash_output(obj: dict[str, Any], name: str) -> tuple[HashName, bytes]:
    inner = member(obj, name, dict, what=_WHAT)
    _only(inner, "algorithm", "digest")
    algorithm = HASH_NAMES.get(member(inner, "algorithm", str, what=_WHAT))
    if algorithm is None:
        raise FormatError("bad-digest", "The log entry has a digest of an unknown hash.")
    return algorithm, _bytes(inner, "digest")


def _bytes(obj: dict[str, Any], name: str) -> bytes:
    return b64decode(member(obj, name, str, what=_WHAT), what=f"{name} of the {_WHAT}")


def _only(obj: dict[str, Any], *names: str) -> None:
    if unknown := sorted(obj.keys() - set(names)):
        message = f"The {_WHAT} has an unknown member '{shown(unknown[0], 40)}'."
        raise FormatError("unknown-member", message)


def to_bytes(body: Body) -> bytes:
    """Return the canonical JSON (RFC 8785) of a version 2 `body`; `parse` gives it back.

    Version 1 logs put more into a body than is kept here, so only version 2 is written.

    Raises:
        FormatError: a body of version 1.
    """
    digest = {"algorithm": _V2_HASH_NAMES[body.algorithm], "digest": b64encode(body.digest)}
    logged = [_logged_dict(signature) for signature in body.signatures]
    spec: dict[str, Any]
    if body.kind == HASHEDREKORD_V2:
        spec = {"hashedRekordV002": {"data": digest, "signature": logged[0]}}
    elif body.kind == DSSE_V2:
        spec = {"dsseV002": {"payloadHash": digest, "signatures": logged}}
    else:
        raise FormatError("unsupported-entry", "Only entries of version 2 are written.")
    kind, version = body.kind
    obj = {"apiVersion": version, "kind": kind, "spec": spec}
    # ASCII keys and values only: sorted compact JSON is the canonical form.
    return json.dumps(obj, sort_keys=True, separators=(",", ":")).encode()


def _logged_dict(signature: LoggedSignature) -> dict[str, Any]:
    verifier: dict[str, Any] = {signature.form: {"rawBytes": b64encode(signature.verifier)}}
    if signature.key_details:
        verifier["keyDetails"] = signature.key_details
    return {"content": b64encode(signature.signature), "verifier": verifier}
