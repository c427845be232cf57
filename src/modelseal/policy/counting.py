# SPDX-License-Identifier: Apache-2.0
"""How many signers there are: each counts once, and each of the accepted ones counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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


def reached(
    signatures: Sequence[Authentic],
    accepted: Sequence[AcceptedSigner],
    threshold: int,
    moment: Callable[[Authentic], datetime | None],
) -> datetime | None:
    """Return the latest time such that the signatures from then on are enough, None if none is."""
    moments = {found for one in signatures if (found := moment(one)) is not None}
    for limit in sorted(moments, reverse=True):
        later = [one for one in signatures if (found := moment(one)) is not None and found >= limit]
        if count(later, accepted) >= threshold:
            return limit
    return None
