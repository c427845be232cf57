# SPDX-License-Identifier: Apache-2.0
"""Times that somebody trusted vouches for: timestamp authorities (RFC 3161) and Rekor version 1."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from modelseal.errors import FormatError, Unverified

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse, Verifier

    from modelseal.formats.bundle import LogEntry
    from modelseal.seal.verify.anchors import Authority

_LIMIT = 32  # timestamps in a bundle, as other clients have it
_LEAF_AND_ROOT = 2


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
    responses = [_parsed(raw) for raw in timestamps]
    times = [
        time for response in responses if (time := _time(response, signed, authorities)) is not None
    ]
    if timestamps and not times:
        raise Unverified("no-trusted-time", "No trusted authority made the timestamp.")
    return tuple(times)


def _parsed(raw: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(raw)
    except ValueError as error:
        message = "A timestamp of the bundle cannot be read."
        raise FormatError("bad-timestamp", message) from error


def _time(
    response: TimeStampResponse, signed: bytes, authorities: tuple[Authority, ...]
) -> datetime | None:
    for authority in authorities:
        verifier = _verifier(authority.chain)
        if verifier is None:
            continue
        try:
            verifier.verify_message(response, signed)
            time = response.tst_info.gen_time
        except Exception:  # noqa: BLE001, S112 - the token holds hostile certificates; no is safe
            continue
        # Whoever made the timestamp must be the one who was trusted then.
        if authority.period.covers(time):
            return time
    return None


@lru_cache(maxsize=64)
def _verifier(chain: tuple[x509.Certificate, ...]) -> Verifier | None:
    """Return what checks timestamps of an authority; its own certificate may be in the token."""
    if _is_ca(chain[0]):
        builder = VerifierBuilder(roots=[chain[-1]])
        between = chain[:-1]
    elif len(chain) < _LEAF_AND_ROOT:
        return None  # a certificate that nobody vouches for
    else:
        builder = VerifierBuilder(tsa_certificate=chain[0], roots=[chain[-1]])
        between = chain[1:-1]
    for certificate in dict.fromkeys(between):
        builder = builder.add_intermediate_certificate(certificate)
    return builder.build()


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
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
