# SPDX-License-Identifier: Apache-2.0
"""Verify many models in one call, on every processor of the machine."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING

from modelseal.admission.check import check
from modelseal.errors import ModelSealError, Undecided
from modelseal.model.digests import PLAIN
from modelseal.model.threads import has_threads, processors
from modelseal.policy.verdict import Check, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.digests import Reading
    from modelseal.policy.rules import Policy
    from modelseal.verification.verifier import Verifier

_WORTH_IT = 256  # models; below, starting processes takes longer than they save
_MOST = 16  # processes
_AT_ONCE = 128  # models handed over together
_OBJECTS = 50_000  # made between two looks for garbage


def check_all(
    paths: list[Path],
    policy: Policy,
    verifier: Verifier,
    reading: Reading = PLAIN,
) -> list[Verdict]:
    """Return the verdict of `policy` on each model of `paths`, whatever happens to one of them.

    Many models are divided among processes, if this one has no threads: a fork would copy the locks
    that they hold. Progress is told for few models only: many small ones are done before anybody
    could read it.

    Raises:
        Undecided: a process was killed.
    """
    workers = min(reading.workers or processors(), _MOST)
    if len(paths) < _WORTH_IT or workers == 1 or has_threads():
        return [check_one(path, policy, verifier, reading) for path in paths]
    # Loaded here, so that the processes share them.
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - 15 ms that few calls need
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - as above
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    verifier.prepare()
    alone = reading._replace(workers=1, progress=None)
    work = (_settled, (policy, verifier, alone))
    try:
        with ProcessPoolExecutor(workers, get_context("fork"), *work) as pool:
            return list(pool.map(_check_shared, paths, chunksize=_AT_ONCE))
    except BrokenProcessPool as error:
        message = "A process that verified models was killed."
        raise Undecided("killed", message, "Is there enough memory?") from error


def check_one(path: Path, policy: Policy, verifier: Verifier, reading: Reading = PLAIN) -> Verdict:
    """Return the verdict on one model of several: a wrong path says nothing about the others."""
    try:
        return check(path, policy, verifier, reading=reading)
    except ModelSealError as error:
        failed = Check("model", passed=False, detail=error.message)
        return Verdict(
            "undecided", str(path), error.code, error.message, error.hint, checks=(failed,),
            trust=verifier.source,
        )  # fmt: skip


_shared: list[partial[Verdict]] = []  # in a process of the pool: what all of its models share


def _settled(policy: Policy, verifier: Verifier, reading: Reading) -> None:
    """Look for garbage seldom, and not in what a process was born with: there is hardly any."""
    gc.freeze()
    gc.set_threshold(_OBJECTS)
    _shared.append(partial(check_one, policy=policy, verifier=verifier, reading=reading))


def _check_shared(path: Path) -> Verdict:
    return _shared[-1](path)
