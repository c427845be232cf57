# SPDX-License-Identifier: Apache-2.0
"""Admit a model: into the store goes only what is authentic, accepted and whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import history, source
from modelseal.admission import store as stores
from modelseal.admission.road import Compared, judge
from modelseal.files import is_folder
from modelseal.formats.oms import Manifest, Serialization
from modelseal.model import names, scope
from modelseal.model.diff import ManifestDiff, compare, differing
from modelseal.model.manifest import Contents
from modelseal.policy.decide import decide

if TYPE_CHECKING:
    from modelseal.admission.road import Agreed
    from modelseal.model.hashing import Progress
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.verification.verifier import Verifier


@dataclass(frozen=True)
class Snapshot:
    """A private read-only copy: `path` is the folder, or the file when the model is one file."""

    path: Path
    verdict: Verdict
    manifest: Manifest


def admit(
    model: Path,
    policy: Policy,
    verifier: Verifier,
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
    caller who knows by `stamp.of_folder` that it is `unchanged` saves that read.

    Raises:
        PolicyRefused: decided: not accepted, the verdict says why.
        Undecided, UsageError: the model or the store could not be read.
    """
    model = Path(os.path.abspath(model))  # noqa: PTH100 - "." has no name, and a link must stay one
    copy = _Copy(stores.prepare(store), progress, unchanged=unchanged)
    name = names.text(model.name)
    newest = history.newest(copy.store, name)
    verdict = judge(model, name, policy, verifier, copy.compare, bundle=bundle, newest=newest)
    verdict.raise_for_refusal()
    if verdict.warned:
        copy.take_unverified(model)
    elif copy.agreed is not None:
        history.remember(copy.store, copy.agreed.agreement)
    final = copy.store / stores.digest_of(copy.manifest)
    folder = is_folder(model)
    return Snapshot(final if folder else final / model.name, verdict, copy.manifest)


class _Copy:
    """Puts a model into the store while its files are compared with what signers agree on."""

    def __init__(self, store: Path, progress: Progress | None, *, unchanged: bool) -> None:
        self.store = store
        self.agreed: Agreed | None = None
        self.manifest = Manifest(())
        self._progress = progress
        self._unchanged = unchanged

    def compare(self, agreed: Agreed) -> Compared:
        """Return how the files differ; if they do not, they are in the store.

        Raises:
            FormatError, Undecided: the model cannot be read, or the store not be written.
        """
        self.agreed, self.manifest = agreed, agreed.manifest
        signed, how = Contents(agreed.manifest), agreed.manifest.serialization
        final = self.store / stores.digest_of(agreed.manifest)
        with source.opened(agreed.path, folder=agreed.is_folder) as root:
            if final.is_dir():
                contents = self._formats(agreed, final)
                if self._unchanged:
                    return Compared(ManifestDiff(), contents=contents)
                actual = source.hashed(root, agreed.scope, how, self._progress)
                return Compared(compare(signed, actual), actual.ignored_unsigned, contents)
            unlike = _unlike(source.sizes(root, agreed.scope), agreed.manifest)
            if unlike:  # before gigabytes are copied
                return Compared(unlike)
            with stores.temporary(self.store) as temporary:
                actual = source.copied(root, agreed.scope, how, temporary, self._progress)
                diff = compare(signed, actual)
                contents = None if diff else self._formats(agreed, temporary)
                compared = Compared(diff, actual.ignored_unsigned, contents)
                if decide(agreed.agreement, diff, contents):
                    stores.publish(temporary, final)
        return compared

    def _formats(self, agreed: Agreed, copy: Path) -> dict[str, str] | None:
        """Return what is in each file of the private copy, which nobody can change; if asked."""
        if not agreed.agreement.rule.formats:
            return None
        path = copy if agreed.is_folder else copy / agreed.path.name
        return source.formats(path, folder=agreed.is_folder)

    def take_unverified(self, model: Path) -> None:
        """Copy all that is in the model, which the policy only warns about."""
        folder = is_folder(model)
        everything = scope.unverified(model) if folder else scope.EVERYTHING
        with (
            source.opened(model, folder=folder) as root,
            stores.temporary(self.store) as temporary,
        ):
            how = Serialization()
            actual = source.copied(root, everything, how, temporary, self._progress)
            self.manifest = actual.manifest
            stores.publish(temporary, self.store / stores.digest_of(self.manifest))


def _unlike(sizes: dict[str, int], signed: Manifest) -> ManifestDiff:
    present, wanted = dict.fromkeys(sizes), dict.fromkeys(signed.file_names())
    return differing(wanted, present, {}, sizes)
