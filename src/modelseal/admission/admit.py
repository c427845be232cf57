# SPDX-License-Identifier: Apache-2.0
"""Admit a model: into the store goes only what is authentic, accepted and whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import history, leases, source, upkeep
from modelseal.admission import store as stores
from modelseal.admission.decisions import Decision
from modelseal.admission.road import Compared, judge
from modelseal.files import is_folder
from modelseal.formats.oms import Manifest, Serialization
from modelseal.model import names, scope
from modelseal.model.diff import ManifestDiff, compare, differing
from modelseal.model.digests import PLAIN
from modelseal.model.manifest import Contents
from modelseal.policy.decide import decide

if TYPE_CHECKING:
    from modelseal.admission.leases import Lease
    from modelseal.admission.road import Agreed
    from modelseal.model.digests import Reading
    from modelseal.model.tree import Root
    from modelseal.policy.rules import Policy, StoreRules
    from modelseal.policy.verdict import Verdict
    from modelseal.verification.verifier import Verifier


@dataclass(frozen=True)
class Snapshot:
    """A private read-only copy: `path` is the folder, or the file when the model is one file.

    Nobody removes it from the store while the `lease` is open: keep this value for as long as the
    path is used.
    """

    path: Path
    verdict: Verdict
    manifest: Manifest
    lease: Lease | None = None


def admit(
    model: Path,
    policy: Policy,
    verifier: Verifier,
    store: Path,
    *,
    name: str | None = None,
    bundle: Path | None = None,
    unchanged: bool = False,
    reading: Reading = PLAIN,
    server: str = "python",
) -> Snapshot:
    """Return the snapshot of the folder or file `model`, whose bytes are the ones signed.

    Rules know it by `name`, which is that of the folder or file if none is given.

    The signer is judged by the bundle at hand before anything is copied, also when the store has
    the digest already. Bytes are hashed on their way into the store, so nobody can change them
    between the check and the use. With a stored digest nothing is copied, but the source is still
    hashed, so that a changed model is refused rather than silently answered by the good copy; a
    caller who knows by `stamp.of_folder` that it is `unchanged` saves that read. Of several that
    admit the same digest at once one copies, and the others wait for it. If the policy has a log,
    the decision is in it before anybody gets the path; `server` is who asked.

    Raises:
        PolicyRefused: decided: not accepted, the verdict says why.
        Undecided, UsageError: the model, the store or the log could not be used.
    """
    model = Path(os.path.abspath(model))  # noqa: PTH100 - "." has no name, and a link must stay one
    name = names.text(model.name) if name is None else name
    decision = Decision(policy, model, server)
    with decision.recorded(name):
        copy = _Copy(stores.prepare(store), policy.store, reading, unchanged=unchanged)
        snapshot = _admit(model, policy, verifier, copy, name=name, bundle=bundle)
    decision.store, decision.stored = snapshot.path, copy.stored
    decision.record(snapshot.verdict)
    return snapshot


def _admit(
    model: Path, policy: Policy, verifier: Verifier, copy: _Copy, *, name: str, bundle: Path | None
) -> Snapshot:
    upkeep.tidy(copy.store)
    newest = history.newest(copy.store, name)
    verdict = judge(model, name, policy, verifier, copy.compare, bundle=bundle, newest=newest)
    verdict.raise_for_refusal()
    if verdict.warned:
        copy.take_unverified(model)
    elif copy.agreed is not None:
        history.remember(copy.store, copy.agreed.agreement)
    if copy.lease is None:
        raise TypeError("accepted without a snapshot")  # unreachable: `compare` has taken one
    final = copy.store / stores.digest_of(copy.manifest)
    folder = is_folder(model)
    path = final if folder else final / model.name
    return Snapshot(path, verdict, copy.manifest, copy.lease)


class _Copy:
    """Puts a model into the store while its files are compared with what signers agree on."""

    def __init__(
        self, store: Path, rules: StoreRules, reading: Reading, *, unchanged: bool
    ) -> None:
        self.store = store
        self.agreed: Agreed | None = None
        self.manifest = Manifest(())
        self.lease: Lease | None = None
        self.stored = "found"
        self._rules = rules
        self._reading = reading
        self._unchanged = unchanged

    def compare(self, agreed: Agreed) -> Compared:
        """Return how the files differ; if they do not, they are in the store.

        Raises:
            FormatError, Undecided: the model cannot be read, or the store not be written.
        """
        self.agreed, self.manifest = agreed, agreed.manifest
        digest = stores.digest_of(agreed.manifest)
        with source.opened(agreed.path, folder=agreed.is_folder) as root:
            while True:
                self.lease = leases.take(self.store, digest)
                if self.lease is not None:
                    return self._with_stored(agreed, root, digest)
                with leases.making(self.store, digest) as lease:
                    if lease is not None:
                        return self._copied(agreed, root, lease, self.store / digest)

    def _with_stored(self, agreed: Agreed, root: Root, digest: str) -> Compared:
        """Return how the files differ from what was signed, which is in the store already."""
        if self._rules.verify:
            upkeep.check_unchanged(self.store, digest, self._reading)
        signed, how = Contents(agreed.manifest), agreed.manifest.serialization
        reading = self._reading._replace(signed=agreed.manifest)
        contents = self._formats(agreed, self.store / digest)
        if self._unchanged:
            return Compared(ManifestDiff(), contents=contents)
        sizes, stored = source.sizes(root, agreed.scope), source.stored_sizes(self.store / digest)
        if sum(sizes.values()) > sum(stored.values()):  # do not read what can only be different
            return Compared(differing(stored, sizes, stored, sizes))
        actual = source.hashed(root, agreed.scope, how, reading)
        return Compared(compare(signed, actual), actual.ignored_unsigned, contents)

    def _copied(self, agreed: Agreed, root: Root, lease: Lease, final: Path) -> Compared:
        """Return how the files differ; if they do not, they are copied to `final`."""
        sizes = source.sizes(root, agreed.scope)
        wanted = dict.fromkeys(agreed.manifest.file_names())
        unlike = differing(wanted, dict.fromkeys(sizes), {}, sizes)
        if unlike.only_added:  # nothing is copied, but whether the rest is intact is to be known
            actual = source.hashed(root, agreed.scope, agreed.manifest.serialization, self._reading)
            return Compared(compare(Contents(agreed.manifest), actual), actual.ignored_unsigned)
        if unlike:  # before gigabytes are copied
            return Compared(unlike._replace(unread=len(sizes.keys() & wanted.keys())))
        upkeep.make_room(self.store, self._rules, sum(sizes.values()))
        with stores.temporary(self.store) as temporary:
            how = agreed.manifest.serialization
            actual = source.copied(root, agreed.scope, how, temporary, self._reading)
            diff = compare(Contents(agreed.manifest), actual)
            contents = None if diff else self._formats(agreed, temporary)
            # A rule that only warns accepts other files too, but not under the signed digest.
            if not diff and decide(agreed.agreement, diff, contents):
                self._publish(lease, temporary, final, agreed.agreement.model)
        return Compared(diff, actual.ignored_unsigned, contents)

    def _publish(self, lease: Lease, temporary: Path, final: Path, model: str) -> None:
        with stores.translated(self.store):
            lease.write(leases.Record(model, self.manifest.serialization))
        stores.publish(temporary, final)
        self.lease = lease
        self.stored = "copied"

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
            actual = source.copied(root, everything, Serialization(), temporary, self._reading)
            self.manifest = actual.manifest
            digest = stores.digest_of(self.manifest)
            self.lease = None  # of the signed digest, if there is one
            with leases.making(self.store, digest) as lease:
                if lease is not None:
                    self._publish(lease, temporary, self.store / digest, names.text(model.name))
        self.lease = self.lease or leases.take(self.store, digest)
        if self.lease is None:  # there was one, and somebody has just removed it
            self.take_unverified(model)
