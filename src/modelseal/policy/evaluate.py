# SPDX-License-Identifier: Apache-2.0
"""From what is known about a model and what the operator accepts to a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.errors import shown
from modelseal.policy.verdict import NOTE, Check, Verdict, left_out

if TYPE_CHECKING:
    from modelseal.model.diff import ManifestDiff
    from modelseal.policy.rules import AcceptedIdentity, Policy
    from modelseal.trust.signer import Signer
    from modelseal.verification.authenticate import Authenticated

_REPLAYED = "Do not use this model: something changed it after it was signed."
_NAMED = 3  # accepted signers, or paths, named in a sentence


def evaluate(
    model: str, authenticated: Authenticated, diff: ManifestDiff, policy: Policy
) -> Verdict:
    """Return the verdict of `policy` on `model`.

    A rule for it, an accepted signer, nothing left out that may not be, the files that were signed:
    the checks are made in this order and stop at the first that fails.
    """
    signer = authenticated.signer
    checks = [Check("signature", passed=True, detail=f"signed by {_named(signer)}")]
    checks += [Check(NOTE, passed=True, detail=note) for note in authenticated.notes]

    def refused(check: str, code: str, message: str, hint: str) -> Verdict:
        checks.append(Check(check, passed=False, detail=message))
        return Verdict("refused", model, code, message, hint, tuple(checks), diff, authenticated)

    rule = policy.rule_for(model)
    if rule is None:
        message = f"The policy has no rule for a model named '{shown(model)}'."
        return refused("rule", "no-rule", message, "Add a [[rule]] that covers this model.")
    checks.append(Check("rule", passed=True, detail=f"models = {shown(str(list(rule.models)))}"))

    accepted = policy.accepted_by(rule)
    if not any(one.is_(signer) for one in accepted):
        return refused("signer", *_stranger(signer, accepted))
    checks.append(Check("signer", passed=True, detail=_named(signer)))

    ignored = [path for path in left_out(authenticated) if not rule.allows_ignored(path)]
    if ignored:
        message = f"The signer left out {_listed(ignored)}, which the rule does not allow."
        hint = "Have all of the model signed, or add the path to the rule's allow_ignored."
        return refused("ignored", "ignored-not-allowed", message, hint)

    if diff:
        message = f"The files are not the ones that were signed: {diff}."
        return refused("files", "digest-mismatch", message, _REPLAYED)
    count = len(authenticated.manifest.resources)
    checks.append(Check("files", passed=True, detail=f"{count} as signed"))
    message = f"Signed by {_named(signer)}."
    return Verdict("accepted", model, "accepted", message, "", tuple(checks), diff, authenticated)


def _stranger(found: Signer, accepted: tuple[AcceptedIdentity, ...]) -> tuple[str, str, str]:
    """Return code, message and hint about a signer who is not among the accepted."""
    if len(accepted) == 1:
        (expected,) = accepted
        if found.subject == expected.identity:
            code, want, got = "issuer-mismatch", expected.issuer, found.issuer
            what = "The signer's issuer"
        else:
            code, want, got = "identity-mismatch", expected.identity, found.subject
            what = "The signer"
        message = f"{what} is '{shown(got)}', not '{shown(want)}'."
        return code, message, "Ask who released the model; accept another signer only if you know."
    names = ", ".join(shown(str(one)) for one in accepted[:_NAMED])
    more = f" and {len(accepted) - _NAMED} more" if len(accepted) > _NAMED else ""
    message = f"The signer {_named(found)} is none of the accepted ones: {names}{more}."
    return "signer-not-accepted", message, "Add the signer to the rule only if you know who it is."


def _listed(paths: list[str]) -> str:
    said = ", ".join(f"'{shown(path, 80)}'" for path in paths[:_NAMED])
    return said if len(paths) <= _NAMED else f"{said} and {len(paths) - _NAMED} more"


def _named(signer: Signer) -> str:
    return f"'{shown(signer.subject)}' ({shown(signer.issuer)})"
