# SPDX-License-Identifier: Apache-2.0
"""The private instance: signatures a second, and appending to a log of 10^3 and of 10^5 entries."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from benchmarks.parts import Row, alternated, instance
from modelseal.instance import entries, services, state
from modelseal.instance.database import Database
from modelseal.instance.tlog import LOG
from modelseal.instance.tree import Tree
from modelseal.signing._sigstore import signing
from modelseal.trust import _sigstore as roots
from modelseal.trust.choice import Trust

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts import Sizes

SIGNATURES, CLIENTS = 200, 4
GOAL = 20  # signatures a second
SMALL, LARGE, APPENDS = 1_000, 100_000, 200


def rows(folder: Path, _sizes: Sizes) -> Iterator[Row]:
    with instance(folder) as started:
        config = roots.services(Trust.of(started.trust_config))
        tokens = [signing.identity_token(started.token(), config) for _ in range(CLIENTS)]

        def client(token) -> None:
            for _ in range(SIGNATURES // CLIENTS):  # a sign-in each: certificate, timestamp, entry
                with signing.session(config, token) as session:
                    session.artifact(os.urandom(32))

        start = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, tokens))
        rate = SIGNATURES / (time.perf_counter() - start)
        yield Row(f"{GOAL} signatures a second / reached", GOAL, rate, goal=1.0, unit="/s")
    small, large = (_log(folder / str(size), size) for size in (SMALL, LARGE))
    medians = alternated(APPENDS, lambda: _append(large), lambda: _append(small))
    yield Row("append at 10^5 / at 10^3 entries", *medians, goal=1.3)


def _log(folder: Path, size: int):
    folder.mkdir()
    state.create(folder, datetime.now(UTC))
    loaded = state.with_url(state.load(folder), "http://127.0.0.1:1")
    log = services.assemble(loaded, Database(loaded.database), None).log
    with log.database.transaction() as connection:
        tree = Tree(connection, LOG)
        for _ in range(size):
            tree.append(os.urandom(300))
    return log


def _append(log) -> None:
    log.add(entries.Entry("hashedrekord", os.urandom(300)))
