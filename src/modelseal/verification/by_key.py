# SPDX-License-Identifier: Apache-2.0
"""A signature by a key that the caller trusts, logged and timestamped or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.errors import Unverified
from modelseal.verification.checks import content
from modelseal.verification.checks.content import Signer

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats.bundle import Bundle
    from modelseal.trust.signature import Prehashed, PublicKey
    from modelseal.trust.trust_root import TrustRoot


def verify(
    bundle: Bundle,
    key: PublicKey,
    trust: TrustRoot | None = None,
    artifact: bytes | Prehashed | None = None,
) -> tuple[datetime, ...]:
    """Check a signature by `key`; return when trusted parties saw it, earliest first.

    Without a trust root the signature is all that counts. With one, a log entry and timestamps of
    the bundle are checked as far as it names logs and authorities, and if it names logs there must
    be an entry.

    Raises:
        FormatError, Unverified: the first check that fails.
    """
    if bundle.certificates:
        raise Unverified("not-by-key", "The bundle was signed with a certificate, not a key.")
    message = content.message_of(bundle, artifact)
    content.check_content(bundle, message, key)
    for entry in bundle.entries:
        content.check_body(entry, bundle, message, Signer(key))
    return () if trust is None else witnessed(bundle, trust)


def witnessed(bundle: Bundle, trust: TrustRoot) -> tuple[datetime, ...]:
    """Return the times of the log and of the timestamp authorities that `trust` names.

    Raises:
        FormatError, Unverified: as `verify`.
    """
    from modelseal.trust import anchors as anchors_of  # noqa: PLC0415 - X.509, 40 ms
    from modelseal.verification.checks import log, timestamps  # noqa: PLC0415 - as above

    anchors = anchors_of.load(trust)
    if len(bundle.entries) > 1 or (anchors.logs and not bundle.entries):
        raise Unverified("not-logged", "The bundle must have one entry of a transparency log.")
    times: tuple[datetime, ...] = ()
    if anchors.timestamp_authorities:
        signed = content.signature_of(bundle)
        times = timestamps.stamped(bundle.timestamps, signed, anchors.timestamp_authorities)
    if not anchors.logs:
        return tuple(sorted(times))
    (entry,) = bundle.entries
    entry_logs = log.of_entry(entry, anchors.logs, trust.source)
    log.check_promise(entry, entry_logs)
    log.check_inclusion(entry, entry_logs)
    taken = timestamps.integrated(entry)
    if taken is not None and entry.promise is not None:
        times = (*times, taken)
    return tuple(sorted(times))
