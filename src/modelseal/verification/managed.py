# SPDX-License-Identifier: Apache-2.0
"""Who signed, by a public key or a CA that the caller trusts, instead of by an identity."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from modelseal.errors import FormatError, Unverified
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.trust import keys
from modelseal.trust.signature import Prehashed, PublicKey, check_signature
from modelseal.trust.signer import Signer
from modelseal.verification import by_key
from modelseal.verification.authenticate import Authenticated, Kind, manifest_of, signed_digest
from modelseal.verification.checks import content
from modelseal.verification.checks import key_hint as hint

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509

    from modelseal.formats.bundle import Bundle
    from modelseal.trust.trust_root import TrustRoot

    Read = Callable[[], bytes]

KEY = "public key"  # stands for the issuer where a key itself is trusted


class TrustedKey(NamedTuple):
    """The public key that must have signed."""

    key: PublicKey


class TrustedChain(NamedTuple):
    """The CAs of which one must have issued the signer's certificate."""

    roots: tuple[x509.Certificate, ...]


Managed = TrustedKey | TrustedChain


def authenticate(
    data: bytes, believed: Managed, trust: TrustRoot | None = None, read: Read | None = None
) -> Authenticated:
    """Return what the bundle in `data` says, having checked everything but the model itself.

    With a `trust` root the log entry and the timestamps of a signature by key are checked too, and
    a certificate may have expired after the time that a timestamp authority vouches for. Without,
    a certificate must be valid now. Only a signature of an artifact by an Ed25519 key needs the
    artifact, which `read` returns; what it was then stands in the manifest like any other digest.

    Raises:
        FormatError, Unverified: the first thing that is wrong. What `read` raises.
    """
    bundle = bundle_format.parse(data)
    artifact = _artifact(bundle, believed, read)
    notes: tuple[str, ...] = ()
    if isinstance(believed, TrustedKey):
        signer, time, notes = _by_key(bundle, believed.key, trust, artifact)
    else:
        signer, time = _by_certificate(bundle, believed.roots, trust, artifact)
    kind, manifest = signed(bundle, artifact)
    index = bundle.entries[0].log_index if bundle.entries and trust else None
    return Authenticated(signer, time, kind, manifest, index, source_of(trust), notes)


def source_of(trust: TrustRoot | None) -> str:
    """Return, for people, what is believed beside the key or CA itself, or that it is just that."""
    return trust.source if trust else "the key or CA that was given"


def _by_key(
    bundle: Bundle, key: PublicKey, trust: TrustRoot | None, artifact: bytes | Prehashed | None
) -> tuple[Signer, datetime | None, tuple[str, ...]]:
    """Return the signer, the time, and what is unusual about how the bundle names the key."""
    if bundle.certificates:
        raise Unverified(
            "not-by-key",
            "The bundle was signed with a certificate, not a key.",
            "Verify it with --identity and --issuer, or with --certificate-chain.",
        )
    signer = Signer(f"sha256:{keys.hints(key)[0]}", KEY, kind="key")
    statement = isinstance(bundle.content, dsse.Envelope)
    notes = hint.check(bundle, key) if statement else ()
    _check_kind(bundle, key)
    if _is_old(bundle):
        _check_signature(bundle, key, artifact)
        return signer, None, notes
    times = by_key.verify(bundle, key, trust, artifact)
    return signer, times[0] if times else None, notes


def _check_kind(bundle: Bundle, key: PublicKey) -> None:
    """Check that OMS has statements signed with such a key (spec 4.2, algorithm registry)."""
    if isinstance(bundle.content, dsse.Envelope) and not isinstance(key, EllipticCurvePublicKey):
        raise FormatError(
            "unsupported-key",
            "Models are signed with P-256, P-384 or P-521 keys.",
            "Ask for a signature by such a key.",
        )


def _by_certificate(
    bundle: Bundle,
    roots: tuple[x509.Certificate, ...],
    trust: TrustRoot | None,
    artifact: bytes | Prehashed | None,
) -> tuple[Signer, datetime | None]:
    if not bundle.certificates:
        raise Unverified(
            "not-by-certificate",
            "The bundle was signed with a key, not a certificate.",
            "Verify it with --key.",
        )
    if isinstance(bundle.content, dsse.Envelope) and not bundle.chained:
        # Spec 11.1: one certificate is of the method sigstore, which has log entries.
        raise Unverified(
            "not-by-certificate",
            "The bundle was signed by an identity, not with a certificate of one's own CA.",
            "Verify it with --identity and --issuer.",
        )
    from modelseal.verification.checks import by_ca, certificate  # noqa: PLC0415 - for certificates only

    chain = tuple(certificate.load(der) for der in bundle.certificates)
    times = _stamped(bundle, trust)
    path = by_ca.check_path(chain, roots, times[0] if times else None)
    certificate.check_usage(path)
    leaf = path[0]
    key = certificate.key_of(leaf)
    _check_kind(bundle, key)
    _check_signature(bundle, key, artifact)
    subject = leaf.subject.rfc4514_string() or f"serial {leaf.serial_number:x}"
    signer = Signer(subject, leaf.issuer.rfc4514_string(), kind="certificate")
    return signer, times[0] if times else None


def _stamped(bundle: Bundle, trust: TrustRoot | None) -> tuple[datetime, ...]:
    if trust is None or not bundle.timestamps:
        return ()
    from modelseal.trust import anchors  # noqa: PLC0415 - only where wanted
    from modelseal.verification.checks import timestamps  # noqa: PLC0415 - only where wanted

    authorities = anchors.load(trust).timestamp_authorities
    return tuple(
        sorted(timestamps.stamped(bundle.timestamps, content.signature_of(bundle), authorities))
    )


def _check_signature(bundle: Bundle, key: PublicKey, artifact: bytes | Prehashed | None) -> None:
    message = content.message_of(bundle, artifact)
    try:
        content.check_content(bundle, message, key)
    except Unverified:
        if not _is_old(bundle) or not isinstance(bundle.content, dsse.Envelope):
            raise
        envelope = bundle.content
        old = oms.old_pae(envelope.payload_type, envelope.payload)
        check_signature(key, envelope.signatures[0].sig, old)


def _is_old(bundle: Bundle) -> bool:
    if not isinstance(bundle.content, dsse.Envelope):
        return False
    return intoto.parse(bundle.content.payload).predicate_type == oms.OLD_PREDICATE_TYPE


def _artifact(bundle: Bundle, believed: Managed, read: Read | None) -> bytes | Prehashed | None:
    """Return what an artifact bundle claims to sign: a digest, or for Ed25519 the artifact.

    Raises:
        FormatError: neither is to be had ("unsupported-digest"). What `read` raises.
    """
    if isinstance(bundle.content, dsse.Envelope):
        return None
    if isinstance(believed, TrustedKey):
        key = believed.key
    elif bundle.certificates:
        from modelseal.verification.checks import certificate  # noqa: PLC0415 - for certificates only

        key = certificate.key_of(certificate.load(bundle.certificates[0]))
    else:
        return None  # is refused for that
    if read is not None and isinstance(key, Ed25519PublicKey):
        return read()
    return signed_digest(bundle)


def signed(bundle: Bundle, artifact: bytes | Prehashed | None = None) -> tuple[Kind, oms.Manifest]:
    """Return what the bundle claims to sign; a claim until its signature has been checked.

    Raises:
        FormatError: it signs no model.
    """
    if not isinstance(bundle.content, dsse.Envelope):
        if isinstance(artifact, bytes):
            artifact = Prehashed("sha256", sha256(artifact).digest())
        return "artifact", manifest_of(artifact or signed_digest(bundle))
    if bundle.content.payload_type != intoto.PAYLOAD_TYPE:
        raise FormatError("payload-type", "The signed envelope does not hold an in-toto statement.")
    return "oms", oms.from_statement(intoto.parse(bundle.content.payload))
