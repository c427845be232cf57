# SPDX-License-Identifier: Apache-2.0
"""Whether a signature is in a transparency log: promise, inclusion proof, checkpoint."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import checkpoint as checkpoint_format
from modelseal.formats import merkle, note, rekor
from modelseal.formats.strict import b64encode
from modelseal.verification.checks import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.formats.bundle import InclusionProof, LogEntry
    from modelseal.trust.anchors import Log

# Rekor version 1 names itself freely, then " - " and the number of a tree.
_TREE_OF_V1 = re.compile(r".+ - [0-9]+")


def of_entry(entry: LogEntry, logs: tuple[Log, ...], source: str) -> tuple[Log, ...]:
    """Return the trusted log that `entry` says it is in, by its whole id, as often as it is named.

    A trusted root may name a log once for each period in which it is believed.

    Raises:
        Unverified: there is none ("unknown-log").
    """
    found = tuple(log for log in logs if log.log_id == entry.log_id)
    if found:
        return found
    raise Unverified(
        "unknown-log",
        f"The signature is in a log that {shown(source)} does not name.",
        "Name the instance that signed: --trusted-root, --trust-config or --instance.",
    )


def _check_any(logs: tuple[Log, ...], check: Callable[[Log], object]) -> None:
    """Check that `check` finds nothing wrong with one of `logs`.

    Raises:
        Unverified: what it says of the first, if it refuses all.
    """
    refused = []
    for log in logs:
        try:
            check(log)
        except Unverified as error:
            refused.append(error)
        else:
            return
    raise refused[0]


def check_promise(entry: LogEntry, logs: tuple[Log, ...]) -> None:
    """Check the signed entry timestamp (SET), if there is one: only version 1 logs give it.

    sigstore/rekor, openapi.yaml, `signedEntryTimestamp`: a signature over the RFC 8785 form of
    body, time, log id and index. The log must have been trusted at that time.

    Raises:
        Unverified: the log did not sign it ("promise-invalid"), or was not trusted then
            ("log-expired").
    """
    if entry.promise is None:
        return
    time = timestamps.integrated(entry)
    if (entry.kind, entry.version) not in rekor.V1 or time is None:
        raise Unverified("promise-invalid", "The log entry has a promise that it cannot have.")
    promised = {
        "body": b64encode(entry.body),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    canonical = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
    promise = entry.promise
    _check_any(logs, lambda log: _check_promised(promise, canonical, time, log))


def _check_promised(promise: bytes, canonical: bytes, time: datetime, log: Log) -> None:
    try:
        log.check(promise, canonical)
    except Unverified as error:
        message = "The log did not make the promise that the bundle has."
        raise Unverified("promise-invalid", message) from error
    if not log.period.covers(time):
        message = "The log was not trusted when it took the signature."
        raise Unverified("log-expired", message)


def check_inclusion(entry: LogEntry, logs: tuple[Log, ...]) -> None:
    """Check that the entry's body is a leaf of the tree that the log signed.

    RFC 6962 section 2.1.1 and C2SP tlog-checkpoint. Bundles of version 0.1 could do without a
    proof; here every bundle needs one, for its version is what anybody may write on it.

    Raises:
        FormatError: a part does not follow its format.
        Unverified: no proof or not of this leaf ("not-logged"), or of a tree that the log did
            not sign ("checkpoint-mismatch").
    """
    proof = entry.proof
    checkpoint = proof and proof.checkpoint
    if proof is None or checkpoint is None:
        raise Unverified("not-logged", "The bundle has no proof that the signature was logged.")
    _check_any(logs, lambda log: _check_included(entry, proof, checkpoint, log))


def _check_included(entry: LogEntry, proof: InclusionProof, checkpoint: str, log: Log) -> None:
    numbered = (entry.kind, entry.version) in rekor.V1
    signed = _checkpoint(checkpoint, log, numbered=numbered)
    if (signed.size, signed.root) != (proof.tree_size, proof.root_hash):
        raise _mismatch("is about another tree than the proof")
    if _is_host(signed.origin, numbered=numbered) and proof.log_index != entry.log_index:
        # A version 1 log counts its entries over several trees, later ones have one tree.
        raise Unverified("not-logged", "The proof is about another entry than this one.")
    _check_leaf(entry.body, proof)


def check_period(entry: LogEntry, logs: tuple[Log, ...], times: tuple[datetime, ...]) -> None:
    """Check that the log of `entry` was trusted when the signature was made.

    A promise has a time of its own, which `check_promise` checks. An entry of a version 2 log has
    none: what counts is that others saw the signature while the log was trusted, or that it is
    trusted now if nobody did. So the key of a log that was withdrawn vouches for nothing later.

    Raises:
        Unverified: it was not ("log-expired").
    """
    if entry.promise is not None:
        return
    times = times or (datetime.now(UTC),)
    if not any(log.period.covers(time) for log in logs for time in times):
        raise Unverified("log-expired", "The log was not trusted when it took the signature.")


def signed_by_any(text: str, logs: tuple[Log, ...]) -> checkpoint_format.Checkpoint:
    """Return the tree in the signed checkpoint `text` of one of `logs`, of any version.

    Raises:
        FormatError: it is no signed checkpoint. Unverified: none of them signed it.
    """
    refused: Unverified | None = None
    for log in logs:
        try:
            return _checkpoint(text, log, numbered=True)
        except Unverified as error:
            refused = error
    raise refused or Unverified("unknown-log", "The trusted root names no log.")


def _check_leaf(body: bytes, proof: InclusionProof) -> None:
    try:
        leaf = merkle.leaf_hash(body)
        root = merkle.root_from_inclusion(leaf, proof.log_index, proof.tree_size, proof.hashes)
    except FormatError as error:
        raise Unverified("not-logged", error.message) from error
    if root != proof.root_hash:
        raise Unverified("not-logged", "The proof does not show that the signature was logged.")


def _checkpoint(text: str, log: Log, *, numbered: bool) -> checkpoint_format.Checkpoint:
    """Return what the log signed (C2SP signed-note, "Verifying signatures").

    Signatures of others, such as witnesses, are passed over; the first of the log decides, for "if
    a signature from a known key fails to verify, clients SHOULD reject the whole note". The origin
    is the log's host name, but for version 1 logs (`numbered`).
    """
    try:
        signed = note.parse_note(text.encode())
    except UnicodeEncodeError as error:  # JSON can spell half a character
        raise FormatError("bad-note", "The signed note is no text.") from error
    found = checkpoint_format.parse_checkpoint(signed.text)
    by_host = _is_host(found.origin, numbered=numbered)
    if by_host and found.origin != log.host:
        raise _mismatch("is of another log")
    for one in signed.signatures:
        if one.key_hash not in log.hints or (by_host and one.name != log.host):
            continue
        try:
            log.check(one.signature, signed.text.encode())
        except Unverified as error:
            raise _mismatch("is not signed by the log") from error
        return found
    raise _mismatch("is not signed by the log")


def _is_host(origin: str, *, numbered: bool) -> bool:
    """Return whether `origin` must be a host name: not of a version 1 log with its tree."""
    return not (numbered and _TREE_OF_V1.fullmatch(origin))


def _mismatch(what: str) -> Unverified:
    return Unverified("checkpoint-mismatch", f"The checkpoint in the bundle {what}.")
