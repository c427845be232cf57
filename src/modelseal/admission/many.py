# SPDX-License-Identifier: Apache-2.0
"""Verify many models in one call, on every processor of the machine."""

from __future__ import annotations

import gc
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission.verify import check
from modelseal.errors import Undecided
from modelseal.policy.rules import Policy
from modelseal.trust import trust_root as trust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.model.hashing import Progress
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authenticate import Verifier

_WORTH_IT = 256  # models; below, starting processes takes longer than they save
_MOST = 16  # processes
_AT_ONCE = 128  # models handed over together
_OBJECTS = 50_000  # made between two looks for garbage


def verify_all(
    paths: Iterable[str | Path],
    *,
    identity: str,
    issuer: str,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    verifier: Verifier = "modelseal",
) -> list[Verdict]:
    """Return the verdict on each model of `paths`, in their order; otherwise as `verify`.

    Many models are divided among processes, which are forked: call it before starting threads.

    Raises:
        UsageError: the call itself is wrong. Undecided: a process was killed.
    """
    root = trust.choose(trusted_root=trusted_root, trust_config=trust_config, instance=instance)
    policy = Policy.for_signer(identity, issuer, verifier)
    return check_all([Path(path) for path in paths], policy, root)


def check_all(
    paths: list[Path],
    policy: Policy,
    root: TrustRoot,
    bundle: str | None = None,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Return the verdict of `policy` on each model of `paths`; otherwise as `verify_all`.

    Progress is told for few models only: many small ones are done before anybody could read it.
    """
    workers = min(len(os.sched_getaffinity(0)), _MOST)
    if len(paths) < _WORTH_IT or workers == 1:
        return [check(path, policy, root, bundle, progress) for path in paths]
    # Loaded here, so that the processes share them.
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - 15 ms that few calls need
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415 - as above
    from multiprocessing import get_context  # noqa: PLC0415 - as above

    from modelseal.trust import anchors  # noqa: PLC0415 - as above
    from modelseal.verification import keyless  # noqa: F401, PLC0415 - as above

    anchors.load(root)
    judge = partial(check, policy=policy, root=root)
    try:
        with ProcessPoolExecutor(workers, get_context("fork"), initializer=_settled) as pool:
            return list(pool.map(judge, paths, chunksize=_AT_ONCE))
    except BrokenProcessPool as error:
        message = "A process that verified models was killed."
        raise Undecided("killed", message, "Is there enough memory?") from error


def _settled() -> None:
    """Look for garbage seldom, and not in what a process was born with: there is hardly any."""
    gc.freeze()
    gc.set_threshold(_OBJECTS)
