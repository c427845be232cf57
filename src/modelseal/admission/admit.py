# SPDX-License-Identifier: Apache-2.0
"""Admit a model: into the store goes only what is authentic, accepted and whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import source
from modelseal.admission import store as place
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.model import tree
from modelseal.model.diff import ManifestDiff, compare, differing
from modelseal.model.find import find_bundle
from modelseal.model.manifest import Contents
from modelseal.model.scope import bundles_in, of_signed
from modelseal.policy.evaluate import evaluate
from modelseal.verification.authenticate import Authenticated, authenticate

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.formats.oms import Manifest
    from modelseal.model.hashing import Progress
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authenticate import Verifier


_SMALL = 128 * 1024  # bytes
_remembered = lru_cache(maxsize=64)(authenticate)


@dataclass(frozen=True)
class Snapshot:
    """A private read-only copy: `path` is the folder, or the file when the model is one file."""

    path: Path
    verdict: Verdict
    manifest: Manifest


def admit(
    model: Path,
    policy: Policy,
    trust: TrustRoot,
    store: Path,
    *,
    bundle: Path | None = None,
    unchanged: bool = False,
    progress: Progress | None = None,
) -> Snapshot:
    """Return the snapshot of the folder or file `model`, whose bytes are the ones signed.

    The signer is judged by the bundle at hand before anything is copied, also when the store has
    the digest already. Bytes are hashed on their way into the store, so nobody can change them
    between the check and the use. With a stored digest nothing is copied, but the source is still
    hashed, so that a changed model is refused rather than silently answered by the good copy; a
    caller who knows by `source.stamp` that it is `unchanged` saves that read.

    Raises:
        PolicyRefused: decided: not accepted, the verdict says why.
        Unverified, FormatError: decided: not authentic.
        Undecided, UsageError: the model or the store could not be read.
    """
    model = Path(os.path.abspath(model))  # noqa: PTH100 - "." has no name, and a link must stay one
    folder = is_folder(model)
    found = _authenticated(
        _bundle(model, bundle),
        trust,
        policy.verifier,
    )
    judge = _judge(model.name, found, policy)
    verdict = judge(ManifestDiff())
    signed = source.expected(model, found, folder=folder)
    store = place.prepare(store)
    final = store / place.digest_of(signed)
    bundles = bundles_in(model, bundle) if folder else frozenset()
    scope, how = of_signed(signed, bundle_names=bundles), signed.serialization
    with (tree.folder if folder else tree.file)(model) as root:
        if final.is_dir():
            if not unchanged:
                actual = source.hashed(root, scope, how, progress)
                verdict = judge(compare(Contents(signed), actual))
        else:
            judge(_unlike(source.sizes(root, scope), signed))  # before gigabytes are copied
            with place.temporary(store) as temporary:
                actual = source.copied(root, scope, how, temporary, progress)
                verdict = judge(compare(Contents(signed), actual))
                place.publish(temporary, final)
    return Snapshot(final if folder else final / model.name, verdict, signed)


def _bundle(model: Path, given: Path | None) -> bytes:
    read = tree.read if given is None else read_trusted
    return read(find_bundle(model, given), bundle_format.LIMIT, "bundle")


def _authenticated(bundle: bytes, trust: TrustRoot, verifier: Verifier) -> Authenticated:
    """Return what `authenticate` says, which depends on nothing but its arguments.

    So a server that loads the same small bundle again need not do the arithmetic again; large ones
    are not worth the memory that remembering them takes.
    """
    if len(bundle) <= _SMALL:
        return _remembered(bundle, trust, verifier)
    return authenticate(bundle, trust, verifier)


def _judge(model: str, found: Authenticated, policy: Policy) -> Callable[[ManifestDiff], Verdict]:
    """Return a function from a difference to the verdict, which raises unless it is a yes."""

    def judge(diff: ManifestDiff) -> Verdict:
        verdict = evaluate(model, found, diff, policy)
        verdict.raise_for_refusal()
        return verdict

    return judge


def _unlike(sizes: dict[str, int], signed: Manifest) -> ManifestDiff:
    there, wanted = dict.fromkeys(sizes), dict.fromkeys(signed.file_names())
    return differing(wanted, there, {}, sizes)
