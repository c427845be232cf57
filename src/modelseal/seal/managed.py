# SPDX-License-Identifier: Apache-2.0
"""Who signed, by a public key or a CA that the caller trusts, instead of by an identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.x509 import verification

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.seal import keys
from modelseal.seal.authenticate import Authenticated, Kind, signed_digest
from modelseal.seal.identity import Identity
from modelseal.seal.verify import by_key, certificate, content
from modelseal.seal.verify.signature import Prehashed, PublicKey, check_signature

if TYPE_CHECKING:
    from modelseal.formats.bundle import Bundle
    from modelseal.seal.trust import TrustRoot

KEY = "public key"  # stands for the issuer where a key itself is trusted


class TrustedKey(NamedTuple):
    """The public key that must have signed."""

    key: PublicKey


class TrustedChain(NamedTuple):
    """The CAs of which one must have issued the signer's certificate."""

    roots: tuple[x509.Certificate, ...]


Managed = TrustedKey | TrustedChain


def authenticate(data: bytes, believed: Managed, trust: TrustRoot | None = None) -> Authenticated:
    """Return what the bundle in `data` says, having checked everything but the model itself.

    With a `trust` root the log entry and the timestamps of a signature by key are checked too, and
    a certificate may have expired after the time that a timestamp authority vouches for. Without,
    a certificate must be valid now.

    Raises:
        FormatError, Unverified: the first thing that is wrong.
    """
    bundle = bundle_format.parse(data)
    if isinstance(believed, TrustedKey):
        signer, time = _by_key(bundle, believed.key, trust)
    else:
        signer, time = _by_certificate(bundle, believed.roots, trust)
    kind, manifest = signed(bundle)
    index = bundle.entries[0].log_index if bundle.entries and trust else None
    return Authenticated(signer, time, kind, manifest, index, source_of(trust))


def source_of(trust: TrustRoot | None) -> str:
    """Return, for people, what is believed beside the key or CA itself, or that it is just that."""
    return trust.source if trust else "the key or CA that was given"


def _by_key(
    bundle: Bundle, key: PublicKey, trust: TrustRoot | None
) -> tuple[Identity, datetime | None]:
    if bundle.certificates:
        raise Unverified(
            "not-by-key",
            "The bundle was signed with a certificate, not a key.",
            "Verify it with --identity and --issuer, or with --certificate-chain.",
        )
    pem_hint, der_hint = keys.hints(key)
    if isinstance(bundle.content, dsse.Envelope):
        _check_hint(bundle, key, (pem_hint, der_hint))
    if _is_old(bundle):
        _check_signature(bundle, key)
        return Identity(f"sha256:{pem_hint}", KEY), None
    times = by_key.verify(bundle, key, trust, _artifact(bundle))
    return Identity(f"sha256:{pem_hint}", KEY), times[0] if times else None


def _check_hint(bundle: Bundle, key: PublicKey, known: tuple[str, str]) -> None:
    """Check that the bundle names `key`: by its PEM text (spec 4.1) or, as some do, its DER."""
    raw = bundle.raw_key
    hint = (bundle.key_hint or "").lower()
    if hint in known or (not hint and (raw is None or raw.strip() == keys.public_pem(key).strip())):
        return
    raise Unverified(
        "key-mismatch",
        f"The bundle names the key '{shown(hint or 'in it', 80)}', not '{known[0]}'.",
        "A key is named by the SHA-256 of its PEM text, as `modelseal key` writes it. "
        "Verify with the key of whoever released the model.",
    )


def _by_certificate(
    bundle: Bundle, roots: tuple[x509.Certificate, ...], trust: TrustRoot | None
) -> tuple[Identity, datetime | None]:
    if not bundle.certificates:
        raise Unverified(
            "not-by-certificate",
            "The bundle was signed with a key, not a certificate.",
            "Verify it with --key.",
        )
    chain = tuple(certificate.load(der) for der in bundle.certificates)
    times = _stamped(bundle, trust)
    path = _path(chain, roots, times[0] if times else datetime.now(UTC))
    certificate.check_usage(path)
    _check_signature(bundle, certificate.key_of(path[0]))
    leaf = path[0]
    subject = leaf.subject.rfc4514_string() or f"serial {leaf.serial_number:x}"
    signer = Identity(subject, leaf.issuer.rfc4514_string())
    return signer, times[0] if times else None


def _stamped(bundle: Bundle, trust: TrustRoot | None) -> tuple[datetime, ...]:
    if trust is None or not bundle.timestamps:
        return ()
    from modelseal.seal.verify import anchors, timestamps  # noqa: PLC0415 - only where wanted

    authorities = anchors.load(trust).timestamp_authorities
    return tuple(
        sorted(timestamps.stamped(bundle.timestamps, content.signature_of(bundle), authorities))
    )


# Certificates of a private CA are no web certificates: no subject alternative name is needed.
_LEAF = verification.ExtensionPolicy.permit_all()
_CA = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None
)


def _path(
    chain: tuple[x509.Certificate, ...], roots: tuple[x509.Certificate, ...], at: datetime
) -> tuple[x509.Certificate, ...]:
    """Return the path from the leaf to one of `roots`, all of it valid `at` that time (RFC 5280 6).

    Raises:
        Unverified: expired, or no path ("certificate-expired", "untrusted-certificate").
    """
    leaf, *between = chain
    for one in chain:
        if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            raise Unverified(
                "certificate-expired",
                f"A certificate of the signer is valid from {one.not_valid_before_utc} to "
                f"{one.not_valid_after_utc}, and no trusted time says that it was signed then.",
                "Sign again with a valid certificate, or with a timestamp.",
            )
    if leaf in roots:
        return (leaf,)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .time(at)
        .extension_policies(ca_policy=_CA, ee_policy=_LEAF)
        .build_client_verifier()
    )
    try:
        return tuple(verifier.verify(leaf, between).chain)
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise Unverified(
            "untrusted-certificate",
            "The certificate does not come from the CA that was given.",
            shown(str(error)),
        ) from error


def _check_signature(bundle: Bundle, key: PublicKey) -> None:
    message = content.message_of(bundle, _artifact(bundle))
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


def _artifact(bundle: Bundle) -> Prehashed | None:
    if isinstance(bundle.content, dsse.Envelope):
        return None
    return Prehashed("sha256", signed_digest(bundle))


def signed(bundle: Bundle) -> tuple[Kind, oms.Manifest]:
    """Return what the bundle claims to sign; a claim until its signature has been checked.

    Raises:
        FormatError: it signs no model.
    """
    if not isinstance(bundle.content, dsse.Envelope):
        digest = signed_digest(bundle)
        return "artifact", oms.Manifest((oms.Resource(oms.SINGLE_FILE, digest),))
    if bundle.content.payload_type != intoto.PAYLOAD_TYPE:
        raise FormatError("payload-type", "The signed envelope does not hold an in-toto statement.")
    return "oms", oms.from_statement(intoto.parse(bundle.content.payload))
