# SPDX-License-Identifier: Apache-2.0
"""Verify models, one or many, and change nothing: the functions of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from modelseal.admission.check import check
from modelseal.admission.request import asked
from modelseal.arguments import check_not_empty, no_empty_values, warn_deprecated
from modelseal.model.digests import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.admission.request import Request
    from modelseal.policy.verdict import Verdict


@no_empty_values
def verify(
    path: str | Path,
    *,
    bundle: str | Path | None = None,
    workers: int | None = None,
    fail_fast: bool = False,
    **request: Unpack[Request],
) -> Verdict:
    """Return whether the model at `path` is what somebody signed whom you accept.

        modelseal.verify("model/", identity="alice@example.com", issuer="https://issuer.example")
        modelseal.verify("model/", key="release.pub")
        modelseal.verify("model/", policy="policy.toml", trust="trusted_root.json")

    At most `workers` processors are used, by default all. With `fail_fast` no more files are read
    when one has changed.

    Who is accepted, and what is believed: see `modelseal.Request`. Offline, unless `refresh` is
    asked for. A decided no is a value: the verdict is true only if accepted. The bundle is looked
    for beside a file and inside a folder. A URI (docs/sources.md) is downloaded to a temporary
    folder.

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
        FormatError, Undecided: a key, policy or trusted root cannot be read.
    """
    reading = Reading(workers, fail_fast=fail_fast)
    reading.check()
    policy, verifier = asked(**request)
    signature = None if bundle is None else Path(bundle)
    if isinstance(path, str) and ":" in path:
        from modelseal.admission import fetch  # noqa: PLC0415 - only for URIs
        from modelseal.sources.uri import is_uri  # noqa: PLC0415 - as above

        if is_uri(path):
            asker = fetch.Asker(policy, verifier, signature)
            return fetch.check_remote(fetch.find(path), asker, lambda _: None)
    return check(Path(path), policy, verifier, signature, reading)


@no_empty_values
def verify_all(
    paths: Iterable[str | Path],
    *,
    workers: int | None = None,
    fail_fast: bool = False,
    **request: Unpack[Request],
) -> list[Verdict]:
    """Return the verdict on each model of `paths`, in their order; otherwise as `verify`.

    A path that does not exist has a verdict too, undecided. Many models are divided among
    processes, unless this one has threads.

    Raises:
        UsageError: the call itself is wrong. FormatError, Undecided: as `verify`; a process was
            killed.
    """
    from modelseal.admission.many import check_all  # noqa: PLC0415 - not for one model

    reading = Reading(workers, fail_fast=fail_fast)
    reading.check()
    policy, verifier = asked(**request)
    models = list(paths)
    check_not_empty("'paths'", models)
    return check_all([Path(path) for path in models], policy, verifier, reading)


def verify_threshold(
    path: str | Path, *, bundle: str | Path | None = None, **request: Unpack[Request]
) -> Verdict:
    """Return `verify(path, signers=signers, threshold=threshold)`, by its older name."""
    warn_deprecated("verify_threshold: call verify(path, signers=..., threshold=...) instead.")
    return verify(path, bundle=bundle, **request)
