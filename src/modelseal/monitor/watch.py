# SPDX-License-Identifier: Apache-2.0
"""One look at a log: is it the one that was seen before, only longer, and who signed since?

New entries are added to the tree that was checked last. If that gives the root that the log signed,
then the log kept all that it had, and these entries are the ones that it committed to.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import merkle, rekor
from modelseal.monitor import edge
from modelseal.monitor.memory import Memory
from modelseal.trust import fulcio
from modelseal.verification.checks import log as log_check

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from modelseal.formats.checkpoint import Checkpoint
    from modelseal.monitor.log_client import LogClient
    from modelseal.trust.anchors import Anchors

# What `verify_directly_issued_by` raises: another issuer, a signature of another kind or key.
_NOT_ISSUED = (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm)
FAULTS = ("log-invalid", "log-shrunk", "log-forked", "log-rewritten", "log-frozen")


@dataclass(frozen=True)
class Wanted:
    """What to look for: patterns of identities, and how long the log may stay as it is."""

    identities: Sequence[str] = ()
    max_silence: timedelta | None = None
    from_now: bool = False  # pass over what was logged before the first look


@dataclass(frozen=True)
class Look:
    """What was found, as JSON objects; `memory` is as it was if the log is at fault."""

    memory: Memory | None
    findings: tuple[dict[str, Any], ...]
    size: int

    @property
    def fault(self) -> bool:
        """Return whether the log is not what it was."""
        return any(one["event"] in FAULTS for one in self.findings)


@dataclass(frozen=True)
class Watch:
    """A log, what is believed of it, and what to look for."""

    client: LogClient
    anchors: Anchors
    wanted: Wanted

    def look(self, memory: Memory | None, now: datetime) -> Look:
        """Return what is new in the log since `memory`, None being the first look.

        Raises:
            Undecided: the log cannot be read.
        """
        text = self.client.checkpoint()
        try:
            signed = log_check.signed_by_any(text, self.anchors.logs)
        except (Unverified, FormatError) as error:
            return _fault(memory, "log-invalid", error.message)
        if memory is not None and signed.origin != memory.origin:
            message = f"The log is named {shown(signed.origin)}, and was {shown(memory.origin)}."
            return _fault(memory, "log-invalid", message)
        if memory is None:
            memory = self._begin(signed, text, now)
            if memory is None:
                message = "The tiles of the log are not of the tree that it signed."
                return _fault(None, "log-rewritten", message)
        if signed.size < memory.edge.size:
            message = f"The log has {signed.size} entries, and had {memory.edge.size}."
            return _fault(memory, "log-shrunk", message)
        if signed.size == memory.edge.size:
            return self._unchanged(signed, memory, now)
        return self._grown(signed, text, memory, now)

    def _begin(self, signed: Checkpoint, text: str, now: datetime) -> Memory | None:
        """Return what to begin with: nothing, or the tree of now. None if that is another one."""
        if not self.wanted.from_now:
            return Memory(signed.origin, edge.Edge(), text, now)
        size = signed.size
        found = edge.read(size, lambda level, at: self.client.node(level, at, size))
        return Memory(signed.origin, found, text, now) if found.root() == signed.root else None

    def _unchanged(self, signed: Checkpoint, memory: Memory, now: datetime) -> Look:
        if signed.root != memory.edge.root():
            message = f"The log signed another tree of {signed.size} entries than before."
            return _fault(memory, "log-forked", message)
        silence = self.wanted.max_silence
        if silence is not None and now - memory.grown > silence:
            message = f"The log has not grown since {memory.grown:%Y-%m-%d %H:%M} UTC."
            return _fault(memory, "log-frozen", message)
        return Look(memory, (), signed.size)

    def _grown(self, signed: Checkpoint, text: str, memory: Memory, now: datetime) -> Look:
        before = memory.edge
        tree = edge.Growing(before)
        findings: list[dict[str, Any]] = []
        for position, body in enumerate(self.client.entries(before.size, signed.size), before.size):
            tree.add(body)
            findings += self._about(position, body)
        after = tree.edge()
        if after.root() == signed.root:
            found = Memory(signed.origin, after, text, now)
            return Look(found, tuple(findings), signed.size)
        if self._is_consistent(before, signed):
            message = "The entries that the log gives are not those that it signed."
            return _fault(memory, "log-rewritten", message)
        message = f"The log of {signed.size} entries is not the one of {before.size}, only longer."
        return _fault(memory, "log-forked", message)

    def _is_consistent(self, before: edge.Edge, signed: Checkpoint) -> bool:
        size = signed.size
        proof = merkle.consistency_proof(
            before.size, size, lambda level, at: self.client.node(level, at, size)
        )
        return merkle.is_consistent(before.size, before.root(), size, signed.root, proof)

    def _about(self, position: int, body: bytes) -> list[dict[str, Any]]:
        """Return what the entry `body` says of the identities that are wanted."""
        try:
            logged = rekor.parse(body)
        except FormatError:  # the first entry of our logs, and kinds of later versions
            return []
        entry = {
            "index": position,
            "kind": " ".join(logged.kind),
            "digest": f"{logged.algorithm}:{logged.digest.hex()}",
        }
        signers = [
            self._signer(signature.verifier)
            for signature in logged.signatures
            if signature.form == "x509Certificate"
        ]
        return [signer | entry for signer in signers if signer is not None]

    def _signer(self, raw: bytes) -> dict[str, Any] | None:
        about: dict[str, Any] = {"certificate": sha256(raw).hexdigest()}
        try:
            signer = fulcio.of_certificate(raw)
        except FormatError:
            return {"event": "unknown-certificate", **about}
        about |= {"identity": signer.subject, "issuer": signer.issuer}
        if not _is_issued(raw, self.anchors):
            return {"event": "unknown-certificate", **about}
        if any(fnmatchcase(signer.subject, pattern) for pattern in self.wanted.identities):
            return {"event": "identity-used", **about, "claims": dict(signer.claims)}
        return None


def _fault(memory: Memory | None, event: str, message: str) -> Look:
    size = memory.edge.size if memory is not None else 0
    return Look(memory, ({"event": event, "message": message},), size)


def _is_issued(raw: bytes, anchors: Anchors) -> bool:
    certificate = fulcio.load(raw)
    for authority in anchors.certificate_authorities:
        if not authority.period.covers(certificate.not_valid_before_utc):
            continue
        try:
            certificate.verify_directly_issued_by(authority.chain[0])
        except _NOT_ISSUED:
            continue
        return True
    return False
