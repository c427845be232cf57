# SPDX-License-Identifier: Apache-2.0
"""The parts of an instance, put together from its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelseal.instance import trust
from modelseal.instance.ca import CertificateAuthority
from modelseal.instance.ctlog import CtLog
from modelseal.instance.oidc import SignIn
from modelseal.instance.tlog import TransparencyLog
from modelseal.instance.tsa import TimestampAuthority
from modelseal.instance.tuf import TufRepository

if TYPE_CHECKING:
    from modelseal.instance.database import Database
    from modelseal.instance.state import State
    from modelseal.instance.users import UsersFile

Clock = Callable[[], float]


@dataclass(frozen=True)
class Services:
    """What answers requests; `clock` is the one clock of them all."""

    state: State
    sign_in: SignIn
    ca: CertificateAuthority
    ct_log: CtLog
    log: TransparencyLog
    tsa: TimestampAuthority
    tuf: TufRepository
    clock: Clock = field(default=time.time)


def assemble(
    state: State, database: Database, users: UsersFile | None, clock: Clock = time.time
) -> Services:
    """Return the services over `state`, with the log checked and the TUF files up to date.

    Raises:
        ValueError: the log is damaged.
    """
    keys = state.keys
    ct_log = CtLog(keys.ct, database)
    log = TransparencyLog(keys.log, state.origin, database)
    log.check()
    tuf = TufRepository(keys.tuf, database)
    targets = {
        "trusted_root.json": trust.to_bytes(trust.trusted_root(state)),
        "signing_config.v0.2.json": trust.to_bytes(trust.signing_config(state)),
    }
    tuf.publish(targets, clock())
    return Services(
        state=state,
        sign_in=SignIn(keys.oidc, state.url, users),
        ca=CertificateAuthority(keys.ca, state.keys.ca_chain, keys.oidc, state.url, ct_log),
        ct_log=ct_log,
        log=log,
        tsa=TimestampAuthority(keys.tsa, state.keys.tsa_chain),
        tuf=tuf,
        clock=clock,
    )
