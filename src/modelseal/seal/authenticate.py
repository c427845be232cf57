# SPDX-License-Identifier: Apache-2.0
"""From a bundle and a trust root to who signed which files when; policy accepts or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.formats.strict import as_kind, b64decode, member, parse_json
from modelseal.seal import identity
from modelseal.seal.trust import knows_log

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.seal.trust import TrustRoot

Kind = Literal["oms", "artifact"]
_BODY_LIMIT = 1024 * 1024  # bytes
_SHA256_BYTES = 32


@dataclass(frozen=True)
class Authenticated:
    """What a checked bundle says: `signer` signed `manifest` at `time` (UTC).

    For an artifact the manifest has one resource, named `oms.SINGLE_FILE`.
    """

    signer: identity.Identity
    time: datetime
    kind: Kind
    manifest: oms.Manifest
    log_index: int
    trust: str


def authenticate(data: bytes, trust: TrustRoot) -> Authenticated:
    """Return what the bundle in `data` says, having checked everything but the model itself.

    Raises:
        FormatError, Unverified: the first thing that is wrong.
    """
    bundle = bundle_format.parse(data)
    if not bundle.certificates or len(bundle.entries) != 1:
        raise FormatError(
            "not-keyless",
            "The bundle is not a keyless signature with one certificate and one log entry.",
            "Sign the model with: modelseal sign",
        )
    # Only after the signer's certificate has been read: what follows checks it.
    signer = identity.of_certificate(bundle.certificates[0])
    from modelseal.seal._sigstore import verifying  # noqa: PLC0415 - 400 ms, not for a bad bundle

    entry = bundle.entries[0]
    if isinstance(bundle.content, dsse.Envelope):
        payload, time = verifying.verify_statement(data, trust)
        if payload != bundle.content.payload:
            raise FormatError("bad-bundle", "Two readers disagree on what the bundle holds.")
        kind: Kind = "oms"
        signed = oms.from_statement(intoto.parse(payload))
    else:
        digest = signed_digest(bundle)
        time = verifying.verify_artifact(data, digest, trust)
        kind = "artifact"
        signed = oms.Manifest((oms.Resource(oms.SINGLE_FILE, digest),))
    if not knows_log(trust, entry.log_id):
        raise Unverified(
            "unknown-log",
            f"The signature is in a log that {shown(trust.source)} does not name.",
            "Check that this is the trust root of the instance that signed.",
        )
    return Authenticated(signer, time, kind, signed, entry.log_index, trust.source)


def signed_digest(bundle: bundle_format.Bundle) -> bytes:
    """Return the SHA-256 that an artifact bundle claims to sign: its own note, else the log's.

    It is a claim until the signature over it has been checked.

    Raises:
        FormatError: no SHA-256 to be found.
    """
    if isinstance(bundle.content, dsse.Envelope):
        raise FormatError("not-an-artifact", "The bundle signs a statement, not an artifact.")
    digest = bundle.content.digest
    if digest is None:
        digest = _logged_digest(bundle.entries[0]) if bundle.entries else b""
    elif bundle.content.algorithm != "SHA2_256":
        digest = b""
    if len(digest) != _SHA256_BYTES:
        raise FormatError(
            "unsupported-digest",
            "The artifact was not signed by its SHA-256.",
            "Sign it with a P-256 key, as every Sigstore client does by default.",
        )
    return digest


def _logged_digest(entry: bundle_format.LogEntry) -> bytes:
    """Return the digest in a hashedrekord body, 0.0.1 (Rekor v1) or 0.0.2 (Rekor v2)."""
    what = "log entry"
    body = as_kind(parse_json(entry.body, what=what, limit=_BODY_LIMIT), dict, what=what)
    spec = member(body, "spec", dict, what=what)
    if entry.version == "0.0.1":
        digest = member(member(spec, "data", dict, what=what), "hash", dict, what=what)
        value = member(digest, "value", str, what=what)
        try:
            return bytes.fromhex(value)
        except ValueError as error:
            raise FormatError("bad-digest", "The log entry has no digest in hex.") from error
    spec = member(spec, "hashedRekordV002", dict, what=what)
    data = member(spec, "data", dict, what=what)
    return b64decode(member(data, "digest", str, what=what), what="digest of the log entry")
