# SPDX-License-Identifier: Apache-2.0
"""Requests to the transparency log, and the leaves they become (Rekor version 2).

A leaf is the RFC 8785 form of the entry. A signature is checked before it is logged: a log that
takes noise is a free disk, and its monitors would have to tell noise from forgery.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography.exceptions import InvalidSignature

from modelseal.errors import FormatError
from modelseal.formats.strict import as_kind, b64decode, b64encode, member
from modelseal.formats.tiles import MAX_ENTRY
from modelseal.instance import client_keys

if TYPE_CHECKING:
    from modelseal.instance.client_keys import Algorithm, PublicKey

API_VERSION = "0.0.2"
_WHAT = "log request"
_MAX_SIGNATURES = 8  # each is tried with each verifier
_HASH_NAMES = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}


@dataclass(frozen=True)
class Entry:
    """What a leaf holds; `body` is the canonical form."""

    kind: str
    body: bytes


@dataclass(frozen=True)
class _Verifier:
    key: PublicKey
    algorithm: Algorithm
    as_json: dict[str, Any]


def parse_request(request: dict[str, Any]) -> Entry:
    """Return the entry for a request, whose signature is good.

    Raises:
        FormatError: of another form, another algorithm, or the signature does not verify.
    """
    readers = {"hashedRekordRequestV002": _hashedrekord, "dsseRequestV002": _dsse}
    if len(request) != 1 or (name := next(iter(request))) not in readers:
        raise FormatError(
            "bad-entry", "Send exactly one of hashedRekordRequestV002 and dsseRequestV002."
        )
    return readers[name](member(request, name, dict, what=_WHAT))


def genesis(origin: str) -> Entry:
    """Return the first leaf of a log.

    Go clients leave out fields that are zero, which other clients then miss in the bundle: nobody's
    signature may be entry 0.
    """
    return _entry("genesis", {"genesisV001": {"origin": origin}})


def _hashedrekord(request: dict[str, Any]) -> Entry:
    _only(request, {"digest", "signature"})
    digest = _bytes(request, "digest")
    signature = member(request, "signature", dict, what=_WHAT)
    _only(signature, {"content", "verifier"})
    content = _bytes(signature, "content")
    verifier = _verifier(member(signature, "verifier", dict, what=_WHAT))
    hash_algorithm = verifier.algorithm.digest
    if hash_algorithm is None:
        raise FormatError(
            "bad-algorithm",
            "A plain Ed25519 signature cannot be checked against a digest; use Ed25519ph.",
        )
    if len(digest) != hash_algorithm.digest_size:
        raise FormatError("bad-digest", f"The digest is not {hash_algorithm.name}.")
    try:
        client_keys.verify_digest(verifier.key, verifier.algorithm, content, digest)
    except InvalidSignature as error:
        raise _bad_signature() from error
    data = {"algorithm": _HASH_NAMES[hash_algorithm.name], "digest": b64encode(digest)}
    signature_json = {"content": b64encode(content), "verifier": verifier.as_json}
    return _entry("hashedrekord", {"hashedRekordV002": {"data": data, "signature": signature_json}})


def _dsse(request: dict[str, Any]) -> Entry:
    _only(request, {"envelope", "verifiers"})
    envelope = member(request, "envelope", dict, what=_WHAT)
    _only(envelope, {"payload", "payloadType", "signatures"})
    payload = _bytes(envelope, "payload")
    message = _pae(member(envelope, "payloadType", str, what=_WHAT), payload)
    verifiers = member(request, "verifiers", list, what=_WHAT)
    signatures = member(envelope, "signatures", list, what=_WHAT)
    if not signatures or len(signatures) != len(verifiers):
        raise FormatError("bad-entry", "A DSSE request has one verifier for each signature.")
    if len(signatures) > _MAX_SIGNATURES:
        raise FormatError("too-many", f"A log entry has at most {_MAX_SIGNATURES} signatures.")
    unmatched = [_verifier(as_kind(item, dict, what="verifier")) for item in verifiers]
    logged = []
    for item in signatures:
        signature = as_kind(item, dict, what="signature")
        _only(signature, {"sig", "keyid"})
        content = _bytes(signature, "sig")
        verifier = _matching(unmatched, content, message)
        unmatched.remove(verifier)
        logged.append({"content": b64encode(content), "verifier": verifier.as_json})
    payload_hash = {"algorithm": "SHA2_256", "digest": b64encode(sha256(payload).digest())}
    return _entry("dsse", {"dsseV002": {"payloadHash": payload_hash, "signatures": logged}})


def _matching(verifiers: list[_Verifier], signature: bytes, message: bytes) -> _Verifier:
    for verifier in verifiers:
        try:
            client_keys.verify(verifier.key, verifier.algorithm, signature, message)
        except InvalidSignature:
            continue
        return verifier
    raise _bad_signature()


def _verifier(verifier: dict[str, Any]) -> _Verifier:
    loaders = {"x509Certificate": client_keys.load_certificate, "publicKey": client_keys.load_der}
    _only(verifier, {"keyDetails", *loaders})
    forms = [name for name in loaders if name in verifier]
    if len(forms) != 1:
        raise FormatError("bad-entry", "A verifier is either an x509Certificate or a publicKey.")
    holder = member(verifier, forms[0], dict, what=_WHAT)
    _only(holder, {"rawBytes"})
    raw = _bytes(holder, "rawBytes")
    key = loaders[forms[0]](raw)
    details = member(verifier, "keyDetails", str, what=_WHAT)
    algorithm = client_keys.algorithms(key).get(details)
    if algorithm is None:
        raise FormatError("bad-algorithm", "keyDetails does not name how this key signs.")
    as_json = {forms[0]: {"rawBytes": b64encode(raw)}, "keyDetails": details}
    return _Verifier(key, algorithm, as_json)


def _entry(kind: str, spec: dict[str, Any]) -> Entry:
    body = rfc8785.dumps({"apiVersion": API_VERSION, "kind": kind, "spec": spec})
    if len(body) > MAX_ENTRY:
        raise FormatError("too-large", f"A log entry is larger than {MAX_ENTRY} bytes.")
    return Entry(kind, body)


def _pae(payload_type: str, payload: bytes) -> bytes:
    """Return what a DSSE signature signs (DSSE protocol, "signature definition")."""
    try:
        kind = payload_type.encode()
    except UnicodeEncodeError as error:  # JSON can spell half a character
        raise FormatError("bad-entry", "The payload type is no text.") from error
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _bytes(obj: dict[str, Any], name: str) -> bytes:
    data = b64decode(member(obj, name, str, what=_WHAT), what=f"{name!r} of the {_WHAT}")
    if not data:
        raise FormatError("bad-entry", f"The {name!r} of the {_WHAT} is empty.")
    return data


def _only(obj: dict[str, Any], names: set[str]) -> None:
    if unknown := sorted(obj.keys() - names):
        raise FormatError("unknown-member", f"The {_WHAT} has an unknown member {unknown[0]!r}.")


def _bad_signature() -> FormatError:
    return FormatError("bad-signature", "The signature does not verify.")
