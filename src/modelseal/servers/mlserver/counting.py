# SPDX-License-Identifier: Apache-2.0
"""The metrics of this process, at MLServer's own endpoint.

MLServer decides on the kind of its metrics only when it sets up the endpoint, after it has listed
the models to load: what happens before is counted then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY

from modelseal.servers.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    Event = Callable[[Metrics], None]

_MOST_EARLY = 100_000


class _Counting:
    """Prometheus has one registry a process, so there is one of these."""

    def __init__(self) -> None:
        self.metrics: Metrics | None = None
        self.early: list[Event] = []


_counting = _Counting()


def count(event: Event) -> None:
    """Let `event` change the metrics, as soon as there are any."""
    if _counting.metrics is not None:
        event(_counting.metrics)
    elif len(_counting.early) < _MOST_EARLY:
        _counting.early.append(event)


def begin() -> None:
    """Make the metrics, now that MLServer has set up its endpoint; twice is harmless."""
    if _counting.metrics is not None:
        return
    _counting.metrics = Metrics(REGISTRY)
    early, _counting.early = _counting.early, []
    for event in early:
        event(_counting.metrics)
