# SPDX-License-Identifier: Apache-2.0
"""The verdict on one signature, for the callers that do not yet have `Authentic`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelseal.policy.decide import agree, decide
from modelseal.policy.verdict import Verdict
from modelseal.verification.authentic import Authentic, Logged

if TYPE_CHECKING:
    from modelseal.model.diff import ManifestDiff
    from modelseal.policy.rules import Policy
    from modelseal.verification.authenticate import Authenticated


def evaluate(
    model: str, authenticated: Authenticated, diff: ManifestDiff, policy: Policy
) -> Verdict:
    """Return the verdict of `policy` on `model`: see `agree` and `decide`."""
    found = authentic(authenticated)
    # These callers make a policy of identities for keys and certificates too.
    asked = found._replace(signer=found.signer._replace(kind="identity"))
    agreed = agree(model, [asked], (), policy, now=datetime.now(UTC))
    verdict = agreed if isinstance(agreed, Verdict) else decide(agreed[0], diff)
    return replace(verdict, signatures=(found,), diff=diff)


def authentic(found: Authenticated) -> Authentic:
    """Return the same in its new form."""
    times = () if found.time is None else (found.time,)
    logged = None if found.log_index is None else Logged(found.log_index, b"")
    return Authentic(
        found.signer, found.kind, found.manifest, times, logged, found.trust, notes=found.notes
    )
