# SPDX-License-Identifier: Apache-2.0
"""Times that somebody trusted vouches for: timestamp authorities (RFC 3161) and Rekor version 1."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from modelseal.errors import FormatError, ModelSealError, Unverified
from modelseal.formats import timestamp
from modelseal.trust import signature
from modelseal.verification.checks import certificate

if TYPE_CHECKING:
    from modelseal.formats.bundle import LogEntry
    from modelseal.formats.timestamp import Token
    from modelseal.trust.anchors import Authority
    from modelseal.trust.signature import PublicKey
    from modelseal.verification.checks.certificate import Path

_LIMIT = 32  # timestamps in a bundle, as other clients have it
_MOST_CERTIFICATES = 16  # in a token


class _Signer(NamedTuple):
    """Who makes timestamps: a certificate that an authority's chain vouches for."""

    issuer: bytes  # DER of its name
    serial: int
    leaf: x509.Certificate
    encoded: bytes  # DER of the certificate
    key: PublicKey
    path: Path


def stamped(
    timestamps: tuple[bytes, ...], signed: bytes, authorities: tuple[Authority, ...]
) -> tuple[datetime, ...]:
    """Return the times at which trusted authorities saw the signature `signed` (RFC 3161).

    Timestamps of authorities that are not trusted are passed over, but if there are any
    timestamps, one must be good.

    Raises:
        FormatError: one cannot be read ("bad-timestamp"), too many, or one twice.
        Unverified: none is good ("no-trusted-time").
    """
    if len(timestamps) > _LIMIT:
        raise FormatError("too-many", f"The bundle has more than {_LIMIT} timestamps.")
    if len(set(timestamps)) != len(timestamps):
        raise FormatError("bad-timestamp", "The bundle has a timestamp twice.")
    tokens = [timestamp.parse(raw) for raw in timestamps]
    times = [token.info.time for token in tokens if _is_good(token, signed, authorities)]
    if timestamps and not times:
        raise Unverified("no-trusted-time", "No trusted authority made the timestamp.")
    return tuple(times)


def _is_good(token: Token, signed: bytes, authorities: tuple[Authority, ...]) -> bool:
    """Return whether `token` is about `signed`, and a trusted authority made it while trusted."""
    if hashlib.new(token.info.hash_name, signed).digest() != token.info.imprint:
        return False
    time = token.info.time
    return any(
        authority.period.covers(time)
        and all(certificate.is_valid(one, time) for one in signer.path)
        and _is_signed(token, signer)
        for authority in authorities
        for signer in _signers(token, authority.chain)
    )


def _is_signed(token: Token, signer: _Signer) -> bool:
    """Return whether `signer` made `token` (RFC 5652 section 5.6, RFC 3161 section 2.2).

    The attributes hold the digest of the content, and the signature is over the attributes. The
    hash of the signer's certificate is compared if it is there: RFC 3161 wants it, other clients
    do without, and the trusted root says whose certificate it is.
    """
    if (token.issuer, token.serial) != (signer.issuer, signer.serial):
        return False
    if token.certificates and signer.leaf not in _loaded(token):
        return False
    if hashlib.new(token.hash_name, token.content).digest() != token.message_digest:
        return False
    named = token.certificate_hashes
    if any(hashlib.new(name, signer.encoded).digest() != digest for name, digest in named):
        return False
    kind, said = timestamp.ALGORITHMS[token.algorithm]
    if said not in {None, token.hash_name}:
        return False
    return signature.is_by(signer.key, kind, token.hash_name, token.signature, token.attributes)


def _signers(token: Token, chain: Path) -> tuple[_Signer, ...]:
    """Return who may make timestamps for an authority: its certificate, or those in the token.

    The trusted root may name just the CA; then the token has the certificate.
    """
    if not _is_ca(chain[0]):
        own = _signer(chain[0], chain[1:])
        return () if own is None else (own,)
    found = (_signer(one, chain) for one in _loaded(token))
    return tuple(one for one in found if one is not None)


@lru_cache(maxsize=64)
def _signer(leaf: x509.Certificate, issuers: Path) -> _Signer | None:
    """Return the signer with the certificate `leaf`, None if `issuers` do not vouch for it.

    It must be for timestamps and say so in a critical extension (RFC 3161 section 2.3). One
    authority makes many timestamps with one certificate, so the last ones are remembered.
    """
    if not issuers:
        return None  # a certificate that nobody vouches for
    try:
        purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        if not purposes.critical or ExtendedKeyUsageOID.TIME_STAMPING not in purposes.value:
            return None
        path = certificate.path_to(leaf, issuers, ca=_CA_POLICY, leaf_policy=_LEAF_POLICY)
        if path is None:
            return None
        key = certificate.key_of(leaf)
    except (ModelSealError, x509.ExtensionNotFound):
        return None
    encoded = leaf.public_bytes(Encoding.DER)
    return _Signer(leaf.issuer.public_bytes(), leaf.serial_number, leaf, encoded, key, path)


# No certificate of the web: it need not name a host. Its use is checked above.
_LEAF_POLICY = verification.ExtensionPolicy.permit_all()
_CA_POLICY = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None
)


def _loaded(token: Token) -> tuple[x509.Certificate, ...]:
    """Return the certificates in `token` that can be read, not more than there ever are."""
    found = (_loaded_one(raw) for raw in token.certificates[:_MOST_CERTIFICATES])
    return tuple(one for one in found if one is not None)


@lru_cache(maxsize=64)
def _loaded_one(raw: bytes) -> x509.Certificate | None:
    try:
        return certificate.load(raw)
    except ModelSealError:
        return None


def _is_ca(one: x509.Certificate) -> bool:
    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def integrated(entry: LogEntry) -> datetime | None:
    """Return when a version 1 log says that it took `entry`; its promise must have been checked.

    Raises:
        FormatError: not a time ("bad-integer").
    """
    if not entry.integrated_time:
        return None
    try:
        return datetime.fromtimestamp(entry.integrated_time, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise FormatError("bad-integer", "The time of the log entry is no date.") from error
