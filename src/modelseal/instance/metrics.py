# SPDX-License-Identifier: Apache-2.0
"""Counters of a running instance in the text format of Prometheus (version 0.0.4)."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass
class _Durations:
    buckets: list[int] = field(default_factory=lambda: [0] * (len(_BUCKETS) + 1))
    total: float = 0.0


class Metrics:
    """Counts requests by route, which are few, never by path, which are as many as clients like."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = defaultdict(int)
        self._durations: dict[str, _Durations] = defaultdict(_Durations)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request to `route` that was answered."""
        with self._lock:
            self._requests[method, route, status] += 1
            durations = self._durations[route]
            durations.buckets[bisect_left(_BUCKETS, seconds)] += 1
            durations.total += seconds

    def text(self, gauges: dict[str, tuple[str, float]]) -> str:
        """Return the counters, and `gauges`: what they mean and how much it is, by name."""
        lines = []
        for name, (help_text, value) in gauges.items():
            lines += _head(f"modelseal_instance_{name}", "gauge", help_text)
            lines.append(f"modelseal_instance_{name} {value!r}")
        with self._lock:
            lines += self._request_lines()
            lines += self._duration_lines()
        return "\n".join(lines) + "\n"

    def _request_lines(self) -> list[str]:
        name = "modelseal_instance_requests_total"
        return _head(name, "counter", "Requests answered.") + [
            f'{name}{{method="{method}",route="{route}",status="{status}"}} {count}'
            for (method, route, status), count in sorted(self._requests.items())
        ]

    def _duration_lines(self) -> list[str]:
        name = "modelseal_instance_request_seconds"
        lines = _head(name, "histogram", "Time to answer a request.")
        for route, durations in sorted(self._durations.items()):
            count = 0
            for bound, number in zip((*_BUCKETS, "+Inf"), durations.buckets, strict=True):
                count += number
                lines.append(f'{name}_bucket{{route="{route}",le="{bound}"}} {count}')
            lines.append(f'{name}_sum{{route="{route}"}} {durations.total:.6f}')
            lines.append(f'{name}_count{{route="{route}"}} {count}')
        return lines


def _head(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
