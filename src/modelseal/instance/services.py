# SPDX-License-Identifier: Apache-2.0
"""The parts of an instance, put together from its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from modelseal.instance import ctlog, index, tlog, trust
from modelseal.instance.ca import CertificateAuthority
from modelseal.instance.ctlog import CtLog
from modelseal.instance.oidc import SignIn
from modelseal.instance.tsa import TimestampAuthority
from modelseal.instance.tuf import TufRepository

if TYPE_CHECKING:
    from modelseal.instance.database import Database
    from modelseal.instance.keys import Authority, CtKey, LogKey
    from modelseal.instance.state import State
    from modelseal.instance.tlog import TransparencyLog
    from modelseal.instance.upstream import Upstream
    from modelseal.instance.users import UsersFile

Clock = Callable[[], float]
T = TypeVar("T", bound="Authority | CtKey | LogKey")


@dataclass(frozen=True)
class _Era:
    """The services that sign with the keys of a time, which begins at `start`."""

    start: float
    ca: CertificateAuthority
    ct_log: CtLog
    log: TransparencyLog
    tsa: TimestampAuthority


@dataclass(frozen=True)
class Services:
    """What answers requests; `clock` is the one clock of them all."""

    state: State
    sign_in: SignIn
    tuf: TufRepository
    _eras: tuple[_Era, ...]
    clock: Clock = field(default=time.time)

    @property
    def ca(self) -> CertificateAuthority:
        """Return the certificate authority, with the key of now."""
        return self._era().ca

    @property
    def ct_log(self) -> CtLog:
        """Return the certificate transparency log, with the key of now."""
        return self._era().ct_log

    @property
    def log(self) -> TransparencyLog:
        """Return the transparency log, with the key of now."""
        return self._era().log

    @property
    def tsa(self) -> TimestampAuthority:
        """Return the timestamp authority, with the key of now."""
        return self._era().tsa

    def _era(self) -> _Era:
        now = self.clock()
        return next((era for era in reversed(self._eras) if era.start <= now), self._eras[0])


def assemble(
    state: State, database: Database, users: UsersFile | None, clock: Clock = time.time,
    upstream: Upstream | None = None,
) -> Services:  # fmt: skip
    """Return the services over `state`, with the log checked and the TUF files up to date.

    Raises:
        ValueError: the log is damaged.
    """
    now = clock()
    eras = tuple(_era(state, database, moment, upstream) for moment in _beginnings(state, now))
    eras[0].log.check()
    eras[0].log.take_over()
    cas = eras[0].log.cas
    index.complete(database, ctlog.LOG, index.of_certificate)
    index.complete(database, tlog.LOG, lambda body: index.of_entry(body, cas))
    tuf = TufRepository(state.keys.tuf, database)
    targets = {
        "trusted_root.json": trust.to_bytes(trust.trusted_root(state)),
        "signing_config.v0.2.json": trust.to_bytes(trust.signing_config(state)),
    }
    tuf.publish(targets, now)
    # Where tokens come from elsewhere, nobody signs in here without a password.
    sign_in = SignIn(
        state.keys.oidc, state.url, users, closed=users is None and upstream is not None
    )
    return Services(state, sign_in, tuf, eras, clock)


def _beginnings(state: State, now: float) -> list[float]:
    """Return when the keys of now, and any that come later, began or begin to sign."""
    keys = state.keys
    starts = sorted(
        {one.start.timestamp() for ring in (keys.ca, keys.ct, keys.log, keys.tsa) for one in ring}
    )
    past = [start for start in starts if start <= now] or starts[:1]
    return [past[-1], *(start for start in starts if start > past[-1])]


def _era(state: State, database: Database, moment: float, upstream: Upstream | None) -> _Era:
    keys = state.keys
    ca, ct = _at(keys.ca, moment), _at(keys.ct, moment)
    log, tsa = _at(keys.log, moment), _at(keys.tsa, moment)
    if ca.key is None or ct.key is None or tsa.key is None:
        raise ValueError("the private key that signs now is missing")
    ct_log = CtLog(ct.key, database)
    return _Era(
        moment,
        CertificateAuthority(ca.key, ca.chain, keys.oidc, state.url, ct_log, upstream),
        ct_log,
        tlog.of_state(state, database, log),
        TimestampAuthority(tsa.key, tsa.chain),
    )


def _at(ring: tuple[T, ...], moment: float) -> T:
    """Return the newest of `ring` that signs at `moment`."""
    return next((one for one in reversed(ring) if one.start.timestamp() <= moment), ring[0])
