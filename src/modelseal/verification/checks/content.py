# SPDX-License-Identifier: Apache-2.0
"""What was signed: the signature over it, and that the log entry is about just this signature."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from modelseal.errors import FormatError, Unverified
from modelseal.formats import dsse, oms, rekor
from modelseal.formats import spki as spki_format
from modelseal.trust.signature import (
    Prehashed,
    PublicKey,
    check_signature,
    hash_names,
    key_details,
    spki,
)
from modelseal.verification.claim import claimed_digest, has_old_predicate

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.formats.bundle import Bundle, LogEntry

_OF_PAYLOAD = (rekor.DSSE_V1, rekor.INTOTO_V1, rekor.DSSE_V2)


class LoggedBy(NamedTuple):
    """Whose signature it is: a key, and its DER certificate if it came with one."""

    key: PublicKey
    certificate: bytes | None = None


def signature_of(bundle: Bundle) -> bytes:
    """Return the signature that is timestamped and logged."""
    if isinstance(bundle.content, dsse.Envelope):
        return bundle.content.signatures[0].sig
    return bundle.content.signature


def artifact_of(
    bundle: Bundle, key: PublicKey, artifact: bytes | Prehashed | Callable[[], bytes] | None
) -> bytes | Prehashed | None:
    """Return what is signed beside the bundle: an artifact or its digest, None for a statement.

    Only an Ed25519 key needs the artifact itself, which `artifact` then reads. Without one it is
    the digest that the bundle claims.

    Raises:
        FormatError: there is no digest that can be used ("unsupported-digest").
    """
    if isinstance(bundle.content, dsse.Envelope):
        return None
    if callable(artifact):
        artifact = artifact() if isinstance(key, Ed25519PublicKey) else None
    return claimed_digest(bundle) if artifact is None else artifact


def check(bundle: Bundle, artifact: bytes | Prehashed | None, signer: LoggedBy) -> None:
    """Check the signature and that every log entry is about it.

    The encoding of a statement decides which bytes were signed, never which checks are made.

    Raises:
        FormatError, Unverified: see the functions below.
    """
    message = message_of(bundle, artifact)
    try:
        check_content(bundle, message, signer.key)
    except Unverified:
        if not has_old_predicate(bundle):
            raise
        message = _old_message_of(bundle)
        check_content(bundle, message, signer.key)
    for entry in bundle.entries:
        check_body(entry, bundle, message, signer)


def message_of(bundle: Bundle, artifact: bytes | Prehashed | None) -> bytes | Prehashed:
    """Return what must have been signed: the envelope, or else the artifact (DSSE protocol).

    Raises:
        FormatError: an artifact is wanted and there is none ("no-artifact").
        Unverified: the digest in the bundle is not the artifact's ("signature-invalid").
    """
    if isinstance(bundle.content, dsse.Envelope):
        return dsse.pae(bundle.content.payload_type, bundle.content.payload)
    if artifact is None:
        raise FormatError("no-artifact", "The bundle signs an artifact, which is not given.")
    noted = bundle.content.digest
    if noted is not None:
        algorithm = rekor.HASH_NAMES.get(bundle.content.algorithm or "")
        if algorithm is None or digest(artifact, algorithm) != noted:
            raise Unverified("signature-invalid", "The bundle signs another artifact.")
    return artifact


def _old_message_of(bundle: Bundle) -> bytes:
    """Return what model-signing 0.2 signed of a statement."""
    envelope = bundle.content
    if not isinstance(envelope, dsse.Envelope):
        raise FormatError("not-a-statement", "The bundle signs no statement.")
    return oms.old_pae(envelope.payload_type, envelope.payload)


def digest(message: bytes | Prehashed, algorithm: str) -> bytes:
    """Return the digest of `message`.

    Raises:
        FormatError: only another digest is at hand ("unsupported-digest").
    """
    if isinstance(message, bytes):
        return hashlib.new(algorithm, message).digest()
    if message.algorithm != algorithm:
        raise FormatError(
            "unsupported-digest",
            f"The {algorithm.upper()} of the artifact is needed, not its {message.algorithm}.",
            "Verify with the artifact itself.",
        )
    return message.digest


def check_content(bundle: Bundle, message: bytes | Prehashed, key: PublicKey) -> None:
    """Check the signature over `message` (DSSE protocol; Sigstore client spec, "Verification").

    Raises:
        Unverified: it is not a signature by `key` ("signature-invalid").
    """
    check_signature(key, signature_of(bundle), message)


def check_body(
    entry: LogEntry, bundle: Bundle, message: bytes | Prehashed, signer: LoggedBy
) -> None:
    """Check that the log entry is about this signature, by this key, of this content.

    Without it an entry of some other signature would do (CVE-2022-36056).

    Raises:
        FormatError: the body of the entry cannot be read.
        Unverified: it is about something else ("log-mismatch").
    """
    body = rekor.parse(entry.body)
    if body.kind != (entry.kind, entry.version) or len(body.signatures) != 1:
        raise _mismatch()
    (logged,) = body.signatures
    if logged.signature != signature_of(bundle) or not _is_signer(logged, signer):
        raise _mismatch()
    if body.kind in _OF_PAYLOAD:
        if not isinstance(bundle.content, dsse.Envelope):
            raise _mismatch()
        expected = hashlib.new(body.algorithm, bundle.content.payload).digest()
    elif body.algorithm not in hash_names(signer.key):
        raise _mismatch()
    else:
        expected = digest(message, body.algorithm)
    if body.digest != expected:
        raise _mismatch()


def _is_signer(logged: rekor.LoggedSignature, signer: LoggedBy) -> bool:
    if logged.form == "pem":
        # Exactly one block: readers of PEM differ on which of several they take, and who watches
        # the log must see the certificate that counts here.
        label = spki_format.PUBLIC_KEY if signer.certificate is None else "CERTIFICATE"
        try:
            found = spki_format.from_single_pem(label, logged.verifier)
        except FormatError:
            return False
        return found == (signer.certificate or spki(signer.key))
    form = "publicKey" if signer.certificate is None else "x509Certificate"
    if logged.form != form or logged.key_details not in ("", *key_details(signer.key)):
        return False
    return logged.verifier == (signer.certificate or spki(signer.key))


def _mismatch() -> Unverified:
    return Unverified(
        "log-mismatch", "The transparency log entry is about another signature than this one."
    )
