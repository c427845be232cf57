# SPDX-License-Identifier: Apache-2.0
"""From signatures that hold and what the operator accepts to a verdict: no file, no clock.

`agree` says which signatures count before a file of the model is read, `decide` what that means for
the files that are there. Both are total: they raise nothing.

A model is accepted if any of the signatures that a rule counts are enough for it. So a signature
more never makes a verdict worse, and one that is revoked or no longer accepted never makes it
better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import ModelSealError, Undecided, shown
from modelseal.policy import reasons
from modelseal.policy.counting import agreed_since, agreed_until, count
from modelseal.policy.signers import AcceptedAuthority
from modelseal.policy.verdict import NOTE, Check, Verdict, left_out, listed, named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from modelseal.formats.oms import Manifest
    from modelseal.model.diff import ManifestDiff
    from modelseal.policy.reasons import Reason
    from modelseal.policy.rules import Policy, Rule
    from modelseal.policy.signers import AcceptedSigner
    from modelseal.policy.verdict import Status
    from modelseal.trust.signer import Signer
    from modelseal.verification.authentic import Authentic, Kind


class Refused(NamedTuple):
    """A bundle that does not hold, by the name of its file, and why."""

    bundle: str
    error: ModelSealError


class Agreement(NamedTuple):
    """Signatures over the same files that are enough for `rule`.

    `manifest` is what they are over, with what all of them left out: what one of them signed none
    of the others can leave out. `time` is since when enough of them vouch for these files, the time
    that `rollback` compares; `until` is when they stop doing so. None: unknown, and never.
    """

    model: str
    rule: Rule
    signatures: tuple[Authentic, ...]
    manifest: Manifest
    checks: tuple[Check, ...]
    time: datetime | None
    until: datetime | None

    @property
    def kind(self) -> Kind:
        """Return the kind of signature."""
        return self.signatures[0].kind


def agree(
    model: str,
    found: Sequence[Authentic],
    refused: Sequence[Refused],
    policy: Policy,
    *,
    now: datetime | None,
    newest: datetime | None = None,
) -> tuple[Agreement, ...] | Verdict:
    """Return the sets of signatures that are enough for `model`, or the verdict that none is.

    Several sets are over different files or leave out different ones: the model is accepted if one
    of them fits the files that are there. `refused` are the bundles that do not hold. `newest` is
    the `time` of the newest agreement that was accepted under this name. `now` is needed for rules
    about times only.
    """
    rule = policy.rule_for(model)
    if not found:
        return _warned(_nothing_holds(model, refused, policy, rule), rule)
    if rule is None:
        return _refused(model, found, (), reasons.no_rule(model))
    judge = _Judge(rule, policy, now, newest)
    objections = [judge.objection(signature) for signature in found]
    counted = [one for one, reason in zip(found, objections, strict=True) if reason is None]
    others = (
        *(
            _not_counted(one.bundle, reason.message)
            for one, reason in zip(found, objections, strict=True)
            if reason is not None
        ),
        *(_not_counted(one.bundle, one.error.message) for one in refused),
    )
    agreements: list[Agreement] = []
    reason: Reason | None = None
    groups = _by_files(counted)
    for group in groups:
        sets, objection = judge.sets(group)
        agreements += (_agreement(model, judge, one, others) for one in sets)
        reason = reason or objection
    if agreements:
        return tuple(agreements)
    most = max(groups, key=lambda group: count(group, judge.accepted), default=[])
    if reason is None and rule.threshold > 1:
        reason = reasons.too_few(most, rule.threshold)
    if reason is None:
        reason = next(one for one in objections if one is not None)
        alone = len(found) == 1 and not refused
        others = () if alone else others
    return _warned(_refused(model, most or found, others, reason, rule), rule)


def decide(
    agreement: Agreement,
    diff: ManifestDiff,
    contents: Mapping[str, str] | None = None,
    unsigned: Sequence[str] = (),
) -> Verdict:
    """Return the verdict on files that differ by `diff` from those of the `agreement`.

    `contents` says of each signed file what is in it (`model.content`); a rule about formats
    refuses without it. `unsigned` are the files that nobody signed and that the rule ignores.
    """
    rule, signatures = agreement.rule, agreement.signatures
    reason = reasons.files(diff) if diff else None
    if reason is None and rule.formats:
        reason = reasons.formats(agreement.manifest, contents, rule.formats)
    checks = agreement.checks
    if unsigned:
        detail = f"not signed and ignored, as the rule allows: {listed(unsigned)}"
        checks = (*checks, Check(NOTE, passed=True, detail=detail))
    verdict = Verdict(
        "accepted", agreement.model, "accepted", _signed_by(signatures),
        checks=checks, diff=diff, signatures=signatures, manifest=agreement.manifest,
        trust=signatures[0].trust, until=agreement.until,
    )  # fmt: skip
    if reason is not None:
        failed = Check(reason.check, passed=False, detail=reason.message)
        verdict = verdict.replace(
            status="refused", code=reason.code, message=reason.message, hint=reason.hint,
            checks=(*checks, failed),
        )  # fmt: skip
        return _warned(verdict, rule)
    amount = len(agreement.manifest.resources)
    fine = [Check("files", passed=True, detail=f"{amount} as signed")]
    if rule.formats:
        fine.append(Check("formats", passed=True, detail=", ".join(rule.formats)))
    return verdict.replace(checks=(*checks, *fine))


class _Judge:
    """What one rule of a policy says of signatures."""

    def __init__(
        self, rule: Rule, policy: Policy, now: datetime | None, newest: datetime | None
    ) -> None:
        self.rule = rule
        self.accepted: tuple[AcceptedSigner, ...] = policy.accepted_by(rule)
        self._policy = policy
        self._now = now
        self._newest = newest

    def objection(self, signature: Authentic) -> Reason | None:
        """Return why `signature` does not count, None if it does."""
        if not any(one.accepts(signature.signer) for one in self.accepted):
            return reasons.stranger(signature.signer, self.accepted)
        for revocation in self._policy.revoked:
            if revocation.revokes(signature, self._policy.signers):
                return reasons.revoked(signature, revocation)
        return (
            reasons.pinned(signature, self.rule)
            or reasons.future(signature, self.rule, self._now)
            or reasons.time(signature, self.rule, self._now)
            or reasons.rolled_back(signature, self.rule, self._newest)
        )

    def sets(self, group: Sequence[Authentic]) -> tuple[list[list[Authentic]], Reason | None]:
        """Return the sets within `group` that are enough, each as large as it can be.

        They are told apart by what all in the set left out. Of two such sets the one that leaves
        out more fits whenever the other does, so that only the largest are returned. Else the
        reason why what they left out is not allowed, or None if they are too few anyway.
        """
        each = [(one, frozenset(left_out(one.manifest))) for one in group]
        intersections: set[frozenset[str]] = set()
        for _, ignored in each:
            intersections |= {ignored, *(ignored & other for other in intersections)}
        found: list[tuple[frozenset[str], list[Authentic]]] = []
        reason = None
        for common in sorted(intersections, key=lambda one: (-len(one), sorted(one))):
            members = [one for one, ignored in each if common <= ignored]
            if count(members, self.accepted) < self.rule.threshold:
                continue
            not_allowed = sorted(p for p in common if not self.rule.allows_ignored(p))
            if not_allowed:
                reason = reasons.left_out(not_allowed)
            elif not any(common < larger for larger, _ in found):
                found.append((common, members))
        return [members for _, members in found], reason


def _by_files(signatures: Sequence[Authentic]) -> list[list[Authentic]]:
    """Return the signatures by what must be equal in those that count together."""
    if len(signatures) < 2:  # noqa: PLR2004 - hashing a large manifest takes long
        return [list(signatures)] if signatures else []
    groups: dict[object, list[Authentic]] = {}
    for one in signatures:
        signed = one.manifest
        groups.setdefault((one.kind, signed.serialization, signed.resources), []).append(one)
    return list(groups.values())


def _agreement(
    model: str, judge: _Judge, signatures: list[Authentic], others: tuple[Check, ...]
) -> Agreement:
    rule, accepted = judge.rule, judge.accepted
    ignored = frozenset.intersection(*(frozenset(one.manifest.ignored) for one in signatures))
    how = signatures[0].manifest.serialization
    if rule.symlinks != "signed":
        how = how._replace(allow_symlinks=rule.symlinks == "allow")
    checks = [*_signed(signatures), _rule_check(rule)]
    for one in signatures:
        names = [signer for signer in accepted if signer.accepts(one.signer)]
        checks.append(Check("signer", passed=True, detail=_accepted_as(one.signer, names)))
        checks += _notes_on(names)
    if rule.threshold > 1:
        said = f"{count(signatures, accepted)} signed the same files, of {rule.threshold} needed"
        checks.append(Check("threshold", passed=True, detail=said))
    manifest = signatures[0].manifest._replace(ignored=tuple(sorted(ignored)), serialization=how)
    return Agreement(
        model, rule, tuple(signatures), manifest, (*checks, *others),
        agreed_since(signatures, accepted, rule.threshold),
        agreed_until(signatures, accepted, rule.threshold),
    )  # fmt: skip


def _refused(
    model: str,
    signatures: Sequence[Authentic],
    others: tuple[Check, ...],
    reason: Reason,
    rule: Rule | None = None,
) -> Verdict:
    first = signatures[0]
    checks = [*_signed(signatures), *([] if rule is None else [_rule_check(rule)])]
    checks.append(Check(reason.check, passed=False, detail=reason.message))
    return Verdict(
        "refused", model, reason.code, reason.message, reason.hint, checks=(*checks, *others),
        signatures=tuple(signatures), manifest=first.manifest, trust=first.trust,
    )  # fmt: skip


def _nothing_holds(
    model: str, refused: Sequence[Refused], policy: Policy, rule: Rule | None
) -> Verdict:
    """Return the verdict when no bundle holds: why the first of them does not."""
    if not refused:
        return _for(reasons.unsigned(model), model, ())
    if rule is not None and rule.threshold > 1 and all(one.bundle for one in refused):
        return _for(reasons.too_few((), rule.threshold), model, refused)
    (_, error), *rest = refused
    status: Status = "undecided" if isinstance(error, Undecided) else "refused"
    check = Check("signature", passed=False, detail=error.message)
    others = (_not_counted(one.bundle, one.error.message) for one in rest)
    known = policy.accepted_by(rule) if rule else ()
    hint = reasons.with_known(error.hint, error.code, known)
    return Verdict(status, model, error.code, error.message, hint, checks=(check, *others))


def _for(reason: Reason, model: str, refused: Sequence[Refused]) -> Verdict:
    """Return the refusal for a `reason` that is not about one signature."""
    check = Check(reason.check, passed=False, detail=reason.message)
    others = (_not_counted(one.bundle, one.error.message) for one in refused)
    return Verdict(
        "refused", model, reason.code, reason.message, reason.hint, checks=(check, *others)
    )


def _warned(verdict: Verdict, rule: Rule | None) -> Verdict:
    """Return the verdict, which is a yes if the rule only warns; nothing else of it changes."""
    if rule is None or rule.mode != "warn" or verdict.status != "refused":
        return verdict
    return verdict.replace(status="accepted", warned=True)


def _signed(signatures: Sequence[Authentic]) -> list[Check]:
    checks = []
    for one in signatures:
        by = f"signed by {named(one.signer)}"
        detail = f"{shown(one.bundle)}: {by}" if len(signatures) > 1 and one.bundle else by
        checks.append(Check("signature", passed=True, detail=detail))
        checks += [Check(NOTE, passed=True, detail=note) for note in one.notes]
    return checks


def _accepted_as(signer: Signer, entries: Sequence[AcceptedSigner]) -> str:
    """Return what of the signer was compared with the policy."""
    names = ", ".join(f"'{shown(one.name)}' ({shown(str(one))})" for one in entries)
    return f"{named(signer)} is accepted as {names}"


def _notes_on(entries: Sequence[AcceptedSigner]) -> list[Check]:
    """Return notes on what nobody said about these signers."""
    return [
        Check(
            NOTE,
            passed=True,
            detail=f"nobody said whose certificate is wanted: '{shown(one.name)}' is everybody "
            "whom the CA certifies (--certificate-subject, certificate_subject)",
        )
        for one in entries
        if isinstance(one, AcceptedAuthority) and one.subject is None
    ]


def _rule_check(rule: Rule) -> Check:
    return Check("rule", passed=True, detail=f"models = {shown(str(list(rule.models)))}")


def _not_counted(bundle: str, message: str) -> Check:
    detail = f"{shown(bundle)}: {message}" if bundle else message
    return Check("not counted", passed=False, detail=detail)


def _signed_by(signatures: Sequence[Authentic]) -> str:
    names = list({one.signer.who: named(one.signer) for one in signatures}.values())
    if len(names) == 1:
        return f"Signed by {names[0]}."
    return f"Signed by {len(names)}: {', '.join(names)}."
