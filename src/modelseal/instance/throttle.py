# SPDX-License-Identifier: Apache-2.0
"""Limits on wrong passwords, by identity and by peer address, that keep nobody else out.

An attempt is counted before the password is hashed and given back when the password is right, so
that guesses made at once do not pass the limit together. Who signed in from an address before is
counted apart there: guesses from elsewhere, or at other identities from the same address, do not
lock them out. Identities without a password are counted like all others; the limits tell nobody
which identities exist.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

PER_IDENTITY = 10  # wrong passwords in a row
PER_PEER = 50
_IDENTITY_SECONDS = 30.0  # after which one more attempt is allowed
_PEER_SECONDS = 5.0
_MAX_KEYS = 10_000
_PEERS_OF_IDENTITY = 8


@dataclass
class _Level:
    used: float
    time: float


class Budget:
    """Attempts by key: `burst` at once, and one more every `seconds`.

    Beyond `max_keys` keys the one that was used longest ago is forgotten.
    """

    def __init__(self, burst: int, seconds: float, max_keys: int = _MAX_KEYS) -> None:
        self._burst = burst
        self._seconds = seconds
        self._max_keys = max_keys
        self._levels: OrderedDict[str, _Level] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Return in how many seconds `key` has an attempt left; 0 if it has one."""
        return max(0.0, (self._used(key, now) + 1 - self._burst) * self._seconds)

    def take(self, key: str, now: float) -> None:
        """Use up an attempt of `key`."""
        self._levels[key] = _Level(self._used(key, now) + 1, now)
        self._levels.move_to_end(key)
        if len(self._levels) > self._max_keys:
            self._levels.popitem(last=False)

    def give_back(self, key: str) -> None:
        """Undo `take`."""
        level = self._levels.get(key)
        if level is not None:
            level.used = max(0.0, level.used - 1)

    def _used(self, key: str, now: float) -> float:
        level = self._levels.get(key)
        if level is None:
            return 0.0
        return max(0.0, level.used - (now - level.time) / self._seconds)


@dataclass(frozen=True)
class Attempt:
    """An attempt that was counted, and where."""

    identity: str
    peer: str
    counted: tuple[tuple[Budget, str], ...]


class Throttle:
    """Counts attempts to sign in; safe to use from several threads.

    `clock` is never set back, unlike the one that dates what is signed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_identity = Budget(PER_IDENTITY, _IDENTITY_SECONDS)
        self._by_peer = Budget(PER_PEER, _PEER_SECONDS)
        self._by_both = Budget(PER_IDENTITY, _IDENTITY_SECONDS)
        # Identities with a password only, which are as many as the operator listed.
        self._known_peers: dict[str, deque[str]] = {}

    def begin(self, identity: str, address: str) -> Attempt:
        """Count an attempt to sign in as `identity` from the IP address `address`.

        Raises:
            Refused: too many before it failed.
        """
        peer, now = _peer_of(address), self._clock()
        with self._lock:
            if peer in self._known_peers.get(identity, ()):
                counted: tuple[tuple[Budget, str], ...] = ((self._by_both, f"{peer} {identity}"),)
            else:
                counted = (self._by_identity, identity), (self._by_peer, peer)
            seconds = math.ceil(max(budget.wait(key, now) for budget, key in counted))
            if seconds:
                raise Refused(
                    429, "too-many-attempts",
                    f"Too many wrong passwords. Try again in {seconds} seconds.",
                    retry_after=seconds,
                )  # fmt: skip
            for budget, key in counted:
                budget.take(key, now)
        return Attempt(identity, peer, counted)

    def succeeded(self, attempt: Attempt) -> None:
        """Take back the count of `attempt`, whose password was right."""
        with self._lock:
            for budget, key in attempt.counted:
                budget.give_back(key)
            peers = self._known_peers.setdefault(attempt.identity, deque(maxlen=_PEERS_OF_IDENTITY))
            if attempt.peer in peers:
                peers.remove(attempt.peer)
            peers.append(attempt.peer)


def _peer_of(address: str) -> str:
    """Return what counts as one peer: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ip_address(address)
    except ValueError:  # not from TCP
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), 64), strict=False))
    return str(parsed)
