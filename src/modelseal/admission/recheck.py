# SPDX-License-Identifier: Apache-2.0
"""Judge a snapshot once more, by another policy: what is in the store need not be read again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from modelseal.admission import source
from modelseal.admission.road import believed_by, read_bundle
from modelseal.errors import ModelSealError, Unverified
from modelseal.model import names
from modelseal.model.diff import compare
from modelseal.model.find import find_bundles
from modelseal.model.manifest import Contents
from modelseal.policy.decide import Refused, agree, decide
from modelseal.policy.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

    from modelseal.admission.admit import Snapshot
    from modelseal.policy.decide import Agreement
    from modelseal.policy.rules import Policy
    from modelseal.verification.authentic import Authentic
    from modelseal.verification.verifier import Verifier

_MOST_BUNDLES = 64
_MOST_BYTES = 64 * 1024 * 1024


class KeptBundle(NamedTuple):
    """A bundle by the name of its file, kept because its file may go or change."""

    name: str
    data: bytes


def kept_bundles(model: Path) -> tuple[KeptBundle, ...]:
    """Return the bundles that lie with the model at `model`, within bounds.

    They prove nothing: whoever judges by them verifies each again. None of a model without any.
    """
    found: list[KeptBundle] = []
    try:
        for path in find_bundles(model):
            data = read_bundle(path, given=False)
            found.append(KeptBundle(names.from_disk(path.name), data))
            if len(found) == _MOST_BUNDLES or sum(len(one.data) for one in found) > _MOST_BYTES:
                break
    except ModelSealError:  # unsigned, or gone meanwhile
        pass
    return tuple(found)


def recheck(
    snapshot: Snapshot, bundles: tuple[KeptBundle, ...], policy: Policy, verifier: Verifier
) -> Verdict:
    """Return the verdict of `policy` on a snapshot of a folder, by the bundles kept with it.

    The store is private, so its files are taken to be those of the snapshot's manifest.

    Raises:
        Undecided: the snapshot cannot be read, where a rule asks what is in its files.
    """
    model = snapshot.verdict.model
    rule = policy.rule_for(model)
    believed = believed_by(policy, rule)
    found: list[Authentic] = []
    refused: list[Refused] = []
    for bundle in bundles:
        try:
            one = verifier.authenticate(bundle.data, believed, _no_file, name=bundle.name)
            if one.kind == "artifact":
                _no_file()
            found.append(one)
        except ModelSealError as error:
            refused.append(Refused(bundle.name, error))
    agreements = agree(model, found, refused, policy, now=datetime.now(UTC))
    if isinstance(agreements, Verdict):
        return agreements
    verdicts = [_decided(one, snapshot) for one in agreements]
    return max(verdicts, key=lambda verdict: (bool(verdict), not verdict.warned))


def _decided(agreement: Agreement, snapshot: Snapshot) -> Verdict:
    diff = compare(Contents(agreement.manifest), Contents(snapshot.manifest))
    contents = source.formats(snapshot.path, folder=True) if agreement.rule.formats else None
    return decide(agreement, diff, contents)


def _no_file() -> NoReturn:
    message = "The bundle signs one file, but the model is a folder."
    raise Unverified("wrong-kind", message, "Verify the file that was signed.")
