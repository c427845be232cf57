# SPDX-License-Identifier: Apache-2.0
"""The state of many models: what each verdict means for whoever looks after all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from modelseal.policy.verdict import Verdict

State = Literal["refused", "drifted", "unsigned", "undecided", "expiring", "warned", "accepted"]
STATES: tuple[State, ...] = (  # the worst first
    "refused", "drifted", "unsigned", "undecided", "expiring", "warned", "accepted",
)  # fmt: skip


class Row(NamedTuple):
    """One model: its state, and the verdict that says why."""

    state: State
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"state": self.state, **self.verdict.to_dict()}


class Report(NamedTuple):
    """The models below a folder, in the order of their paths, at a time."""

    root: str
    at: datetime
    rows: tuple[Row, ...]

    def counts(self) -> dict[State, int]:
        """Return how many models are in each state, the worst first, those of none left out."""
        found = Counter(row.state for row in self.rows)
        return {state: found[state] for state in STATES if found[state]}


def report(root: str, verdicts: Sequence[Verdict], at: datetime, soon: timedelta) -> Report:
    """Return the report about `verdicts`; what stops verifying within `soon` is expiring."""
    return Report(root, at, tuple(Row(state_of(one, at + soon), one) for one in verdicts))


def state_of(verdict: Verdict, until: datetime) -> State:
    """Return the state of a model, which is expiring if it does not verify after `until`.

    Files that are not the ones that were signed make it drifted, whatever else there is to say.
    """
    if verdict.warned:
        return "warned"
    if verdict:
        ends = verdict.until
        return "expiring" if ends is not None and ends <= until else "accepted"
    if verdict.status == "undecided":
        return "undecided"
    if verdict.code == "unsigned":
        return "unsigned"
    return "drifted" if verdict.diff else "refused"
