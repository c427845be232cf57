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
_REMEMBERED = 64  # certificates


class _Signer(NamedTuple):
    """Who makes timestamps: a certificate that an authority's chain vouches for."""

    issuer: bytes  # DER of its name
    serial: int
    encoded: bytes  # DER of the certificate
    key: PublicKey
    path: Path


class Stamped(NamedTuple):
    """The times that trusted authorities vouch for, and how many timestamps are by strangers."""

    times: tuple[datetime, ...]
    strangers: int = 0


class TimestampChecker:
    """Checks timestamps by the authorities of one trusted root.

    One authority makes many timestamps with one certificate, so the last ones are remembered.
    """

    def __init__(self, authorities: tuple[Authority, ...]) -> None:
        self._authorities = authorities
        self._load = lru_cache(maxsize=_REMEMBERED)(_load_or_none)
        self._signer = lru_cache(maxsize=_REMEMBERED)(_signer)

    def check(self, timestamps: tuple[bytes, ...], signed: bytes) -> Stamped:
        """Return the times at which trusted authorities saw the signature `signed` (RFC 3161).

        A timestamp of an authority that is not trusted proves nothing, and is no reason to refuse:
        whoever could put it there could also have left it out. One that names a trusted authority
        must be good.

        Raises:
            FormatError: one cannot be read ("bad-timestamp"), too many, or one twice.
            Unverified: one that names a trusted authority is not good ("no-trusted-time").
        """
        if len(timestamps) > _LIMIT:
            raise FormatError("too-many", f"The bundle has more than {_LIMIT} timestamps.")
        if len(set(timestamps)) != len(timestamps):
            raise FormatError("bad-timestamp", "The bundle has a timestamp twice.")
        found = [self._time_of(timestamp.parse(raw), signed) for raw in timestamps]
        times = tuple(time for time in found if time is not None)
        return Stamped(times, len(found) - len(times))

    def _time_of(self, token: Token, signed: bytes) -> datetime | None:
        """Return the time in `token`, None if no trusted authority is named as its maker."""
        named = [
            (authority, signer)
            for authority in self._authorities
            for signer in self._signers(token, authority.chain)
            if (token.issuer, token.serial) == (signer.issuer, signer.serial)
        ]
        if not named:
            return None
        imprint = hashlib.new(token.info.hash_name, signed).digest()
        if imprint != token.info.imprint:
            raise _bad("is about another signature")
        makers = [(authority, signer) for authority, signer in named if _is_signed(token, signer)]
        if not makers:
            raise _bad("is not signed by it")
        time = token.info.time
        if not any(
            authority.period.covers(time)
            and all(certificate.is_valid(one, time) for one in signer.path)
            for authority, signer in makers
        ):
            raise _bad("is from a time when it was not trusted")
        return time

    def _signers(self, token: Token, chain: Path) -> tuple[_Signer, ...]:
        """Return who may make timestamps for an authority: its certificate, or those in `token`.

        The trusted root may name just the CA; then the token has the certificate.
        """
        if not _is_ca(chain[0]):
            found = [self._signer(chain[0], chain[1:])]
        else:
            raw = token.certificates[:_MOST_CERTIFICATES]
            loaded = filter(None, map(self._load, raw))
            found = [self._signer(one, chain) for one in loaded]
        return tuple(one for one in found if one is not None)


def _bad(what: str) -> Unverified:
    return Unverified("no-trusted-time", f"A timestamp of a trusted authority {what}.")


def _is_signed(token: Token, signer: _Signer) -> bool:
    """Return whether `signer` made `token` (RFC 5652 section 5.6, RFC 3161 section 2.2).

    The attributes hold the digest of the content, and the signature is over the attributes. The
    hash of the signer's certificate is compared if it is there: RFC 3161 wants it, other clients
    do without, and the trusted root says whose certificate it is.
    """
    if token.certificates and signer.encoded not in token.certificates[:_MOST_CERTIFICATES]:
        return False
    if hashlib.new(token.hash_name, token.content).digest() != token.message_digest:
        return False
    named = token.certificate_hashes
    if any(hashlib.new(name, signer.encoded).digest() != digest for name, digest in named):
        return False
    kind, hash_name = timestamp.ALGORITHMS[token.algorithm]
    if hash_name not in {None, token.hash_name}:
        return False
    return signature.is_by(signer.key, kind, token.hash_name, token.signature, token.attributes)


def _signer(leaf: x509.Certificate, issuers: Path) -> _Signer | None:
    """Return the signer with the certificate `leaf`, None if `issuers` do not vouch for it.

    It must be for timestamps and say so in a critical extension (RFC 3161 section 2.3).
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
    return _Signer(leaf.issuer.public_bytes(), leaf.serial_number, encoded, key, path)


# No certificate of the web: it need not name a host. Its use is checked above.
_LEAF_POLICY = verification.ExtensionPolicy.permit_all()
_CA_POLICY = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None
)


def _load_or_none(raw: bytes) -> x509.Certificate | None:
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
