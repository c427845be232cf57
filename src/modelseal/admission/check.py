# SPDX-License-Identifier: Apache-2.0
"""Verify a model where it is: read its files in place and change nothing."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from modelseal.admission.road import Compared, judge
from modelseal.model import manifest, names
from modelseal.model.diff import compare
from modelseal.model.digests import PLAIN
from modelseal.model.scope import EVERYTHING
from modelseal.policy.verdict import STAT_CACHE, Check, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.admission.road import Agreed
    from modelseal.model.digests import Reading
    from modelseal.policy.rules import Policy
    from modelseal.verification.verifier import Verifier


def check(
    path: Path,
    policy: Policy,
    verifier: Verifier,
    bundle: Path | None = None,
    reading: Reading = PLAIN,
) -> Verdict:
    """Return the verdict of `policy` on the model at `path`, whose name is that of its folder.

    With a cache in `reading` files that look unchanged are believed unread; the verdict says so.

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
    """
    name = names.text(os.path.basename(os.path.abspath(path)))  # noqa: PTH100, PTH119 - a link stays one
    compared = partial(differences, reading=reading)
    verdict = judge(path, name, policy, verifier, compared, bundle=bundle)
    checks = verdict.checks
    cache = reading.cache
    if cache is not None:
        message = f"{cache.unread} of the files were not read: they look as when last signed"
        checks = (*checks, Check(STAT_CACHE, passed=True, detail=message))
    return verdict.replace(model=names.text(path), checks=checks)


def differences(agreed: Agreed, reading: Reading = PLAIN) -> Compared:
    """Return how the files differ from what signers agree on.

    Raises:
        FormatError, Undecided, UsageError: the model cannot be read as one.
    """
    how = agreed.manifest.serialization
    if not reading.complete:
        reading = reading._replace(signed=agreed.manifest)
    if agreed.is_folder:
        actual = manifest.of_folder(agreed.path, agreed.scope, how, reading)
    else:
        actual = manifest.of_file(agreed.path, how, reading)
    diff = compare(manifest.Contents(agreed.manifest), actual)
    contents = None
    if agreed.agreement.rule.formats and not diff:
        scope = agreed.scope if agreed.is_folder else EVERYTHING
        from modelseal.admission import source  # noqa: PLC0415 - only for rules about formats

        contents = source.formats(agreed.path, scope, folder=agreed.is_folder)
    return Compared(diff, actual.ignored_unsigned, contents)
