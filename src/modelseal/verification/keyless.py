# SPDX-License-Identifier: Apache-2.0
"""A signature by a certificate: the order of the checks (docs/verification.md).

Source: sigstore/architecture-docs, client-spec.md, section "Verification".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import FormatError, Unverified
from modelseal.trust import anchors as anchors_of
from modelseal.verification.checks import certificate, content, log, timestamps
from modelseal.verification.checks.content import Signer

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats.bundle import Bundle, LogEntry
    from modelseal.trust.anchors import Anchors
    from modelseal.trust.signature import Prehashed
    from modelseal.trust.trust_root import TrustRoot


class Verified(NamedTuple):
    """A signature that holds; `times` are when trusted parties saw it, earliest first."""

    times: tuple[datetime, ...]


def verify(bundle: Bundle, trust: TrustRoot, artifact: bytes | Prehashed | None = None) -> Verified:
    """Check everything but who signed and what: the caller's policy, the caller's files.

    Raises:
        FormatError, Unverified: the first check that fails, in the order of the code.
    """
    anchors = anchors_of.load(trust)
    entry = _check_shape(bundle)
    certified = certificate.check(bundle.certificates[0], trust)
    entry_logs = log.of_entry(entry, anchors.logs, trust.source)
    log.check_promise(entry, entry_logs)
    times = _times(bundle, entry, anchors)
    certificate.check_times(certified, _claimed(entry, times), trust.source)
    log.check_inclusion(entry, entry_logs)
    message = content.message_of(bundle, artifact)
    content.check_content(bundle, message, certified.key)
    content.check_body(entry, bundle, message, Signer(certified.key, bundle.certificates[0]))
    return Verified(times)


def _check_shape(bundle: Bundle) -> LogEntry:
    """Return the one log entry of a bundle whose parts go together (sigstore_bundle.proto).

    Raises:
        FormatError: not a certificate and a log entry, or not those of its version.
    """
    if not bundle.certificates or len(bundle.entries) != 1:
        raise FormatError(
            "not-keyless",
            "The bundle is not a keyless signature with one certificate and one log entry.",
            "Sign the model with: modelseal sign",
        )
    if bundle.version == "0.3" and bundle.chained:
        raise FormatError("bad-bundle", "A bundle of version 0.3 has one certificate, no chain.")
    certificate.check_rest(bundle.certificates[1:])
    (entry,) = bundle.entries
    if bundle.version == "0.1" and entry.promise is None:
        raise FormatError("bad-bundle", "A bundle of version 0.1 has a promise of the log.")
    return entry


def _times(bundle: Bundle, entry: LogEntry, anchors: Anchors) -> tuple[datetime, ...]:
    """Return the times at which trusted parties saw the signature, at least one.

    Raises:
        FormatError: a timestamp that cannot be read. Unverified: no time ("no-trusted-time").
    """
    signed = content.signature_of(bundle)
    found = timestamps.stamped(bundle.timestamps, signed, anchors.timestamp_authorities)
    taken = timestamps.integrated(entry)
    if taken is not None and entry.promise is not None:
        found = (*found, taken)
    if not found:
        raise Unverified("no-trusted-time", "No trusted time vouches for the signature.")
    return tuple(sorted(found))


def _claimed(entry: LogEntry, times: tuple[datetime, ...]) -> tuple[datetime, ...]:
    """Return `times` and what the log entry says, which nobody signed where there is no promise.

    An honest entry never contradicts the certificate.
    """
    taken = timestamps.integrated(entry)
    return times if taken is None else (*times, taken)
