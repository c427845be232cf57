# SPDX-License-Identifier: Apache-2.0
"""How many signers there are: each counts once, and each of the accepted ones counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from modelseal.policy.signers import AcceptedSigner
    from modelseal.verification.authentic import Authentic


def count(signatures: Sequence[Authentic], accepted: Sequence[AcceptedSigner]) -> int:
    """Return how many of the `accepted` signers made `signatures`, each with a signer of its own.

    Somebody who fits two entries of a policy counts once, and so do two that fit only one entry,
    such as the same workflow run for two tags. This is the size of a largest matching.
    """
    fitting: dict[tuple[str, ...], list[int]] = {}
    for one in signatures:
        if one.signer.who not in fitting:
            fits = [n for n, signer in enumerate(accepted) if signer.accepts(one.signer)]
            fitting[one.signer.who] = fits
    owner: dict[int, tuple[str, ...]] = {}

    def place(who: tuple[str, ...], tried: set[int]) -> bool:
        """Give `who` an entry, moving others where that helps (Kuhn's algorithm)."""
        for entry in fitting[who]:
            if entry not in tried:
                tried.add(entry)
                if entry not in owner or place(owner[entry], tried):
                    owner[entry] = who
                    return True
        return False

    return sum(place(who, set()) for who in fitting)


def agreed_since(
    signatures: Sequence[Authentic], accepted: Sequence[AcceptedSigner], threshold: int
) -> datetime | None:
    """Return the latest time such that the signatures from then on are enough, None if none is."""
    for limit in sorted({one.time for one in signatures if one.time is not None}, reverse=True):
        later = [one for one in signatures if one.time is not None and one.time >= limit]
        if count(later, accepted) >= threshold:
            return limit
    return None


def agreed_until(
    signatures: Sequence[Authentic], accepted: Sequence[AcceptedSigner], threshold: int
) -> datetime | None:
    """Return when too few of the signatures, which are enough now, verify; None is never."""
    lasting = [one for one in signatures if one.until is None]
    if count(lasting, accepted) >= threshold:
        return None
    for end in sorted({one.until for one in signatures if one.until is not None}, reverse=True):
        still = [one for one in signatures if one.until is None or one.until >= end]
        if count(still, accepted) >= threshold:
            return end
    return None  # unreachable: all of them are enough
