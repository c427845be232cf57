# SPDX-License-Identifier: Apache-2.0
"""Why a policy says no, and what to do about it: one function a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import shown
from modelseal.policy.rules import EXPECTED, version_digests
from modelseal.policy.signers import AcceptedIdentity
from modelseal.policy.verdict import NAMED, listed, named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from modelseal.formats.oms import Manifest
    from modelseal.model.diff import ManifestDiff
    from modelseal.policy.rules import Revocation, Rule
    from modelseal.policy.signers import AcceptedSigner
    from modelseal.trust.signer import Signer
    from modelseal.verification.authentic import Authentic

_SKEW = 300  # seconds that the clocks of two honest machines may differ
_BY_ANOTHER_KEY = {"key-mismatch", "signature-invalid", "untrusted-certificate"}


class Reason(NamedTuple):
    """The check that failed, the stable code, a sentence, and what to do next."""

    check: str
    code: str
    message: str
    hint: str


def unsigned(model: str) -> Reason:
    """Return the reason when there is no bundle at all."""
    message = f"'{shown(model)}' has no signature."
    return Reason("signature", "unsigned", message, "Have it signed: modelseal sign")


def no_rule(model: str) -> Reason:
    """Return the reason when no rule covers the model."""
    message = f"The policy has no rule for a model named '{shown(model)}'."
    return Reason("rule", "no-rule", message, "Add a [[rule]] that covers this model.")


def stranger(found: Signer, accepted: Sequence[AcceptedSigner]) -> Reason:
    """Return the reason when the signer is none of the accepted ones."""
    if len(accepted) == 1 and found.kind == "identity":
        (expected,) = accepted
        if isinstance(expected, AcceptedIdentity):
            return _other_identity(found, expected)
    names = ", ".join(shown(str(one)) for one in accepted[:NAMED])
    more = f" and {len(accepted) - NAMED} more" if len(accepted) > NAMED else ""
    message = f"The signer {named(found)} is none of the accepted ones: {names}{more}."
    hint = "Add the signer to the rule only if you know who it is."
    return Reason("signer", "signer-not-accepted", message, hint)


def _other_identity(found: Signer, expected: AcceptedIdentity) -> Reason:
    if not expected.covers(found.subject):
        code, want, got = "identity-mismatch", str(expected.identity), found.subject
        what = "The signer"
    elif found.issuer != expected.issuer:
        code, want, got = "issuer-mismatch", expected.issuer, found.issuer
        what = "The signer's issuer"
    else:
        return _other_run(found, expected)
    message = f"{what} is '{shown(got)}', not '{shown(want)}'."
    hint = "Ask who released the model; accept another signer only if you know."
    return Reason("signer", code, message, hint)


def _other_run(found: Signer, expected: AcceptedIdentity) -> Reason:
    """Return the reason when the claims of a certificate are not those of the workflow."""
    from modelseal.policy.workflows import ALL_CLAIMS  # noqa: PLC0415 - only where there are some

    said = ", ".join(f"{name} {shown(value)}" for name, value in found.claims if name in ALL_CLAIMS)
    message = (
        f"The signer {named(found)} is not a run of {shown(str(expected.workflow))}: its "
        f"certificate says {said or 'nothing about a workflow'}."
    )
    hint = "Ask who released the model; accept another workflow only if you know what it does."
    return Reason("signer", "identity-mismatch", message, hint)


def with_known(hint: str, code: str, known: Sequence[AcceptedSigner]) -> str:
    """Return the hint of a signature that does not hold, with who was known so far.

    Somebody changed a key, or the model: only the operator can tell which (OWASP AISVS 6.4.6).
    """
    named_in_policy = [one for one in known if not one.name.startswith(EXPECTED)]
    if code not in _BY_ANOTHER_KEY or not named_in_policy:
        return hint
    return (
        f"{hint} Signers known so far: {_all_named(named_in_policy)}. If one has a new key, ask "
        "them on another channel and put it into the policy."
    )


def _all_named(signers: Sequence[AcceptedSigner]) -> str:
    names = ", ".join(f"'{shown(one.name)}', {shown(str(one))}" for one in signers[:NAMED])
    return f"{names} and {len(signers) - NAMED} more" if len(signers) > NAMED else names


def revoked(signature: Authentic, revocation: Revocation) -> Reason:
    """Return the reason when a signature or a version is revoked."""
    what = "This version" if revocation.digest else f"The signature by {named(signature.signer)}"
    message = f"{what} is revoked: {shown(revocation.reason)}."
    hint = "Get a version that is not revoked; the [[revoked]] of the policy has the reason."
    return Reason("revoked", "revoked", message, hint)


def pinned(signature: Authentic, rule: Rule) -> Reason | None:
    """Return the reason if the rule pins other versions."""
    found = version_digests(signature)
    if not rule.digests or not found.isdisjoint(rule.digests):
        return None
    message = f"The signed version is {min(found)}, which is none of the rule's digests."
    hint = "Add the digest to the rule once somebody has approved this version."
    return Reason("digests", "version-not-pinned", message, hint)


def time(signature: Authentic, rule: Rule, now: datetime | None) -> Reason | None:
    """Return the reason if the rule wants a signature of another time."""
    if not rule.needs_time:
        return None
    signed = signature.time
    if signed is None:
        message = "The rule limits when a model was signed, and no trusted time says when it was."
        hint = "Have it signed with a timestamp or a log entry, or name the trusted root with both."
        return Reason("time", "no-trusted-time", message, hint)
    said = f"The model was signed at {_when(signed)}"
    if rule.max_age is not None and (now is None or now - signed > rule.max_age):
        message = f"{said}, longer ago than the {_span(rule.max_age)} that the rule allows."
        return Reason("time", "signed-too-long-ago", message, "Have the model signed again.")
    if rule.not_before is not None and signed < rule.not_before:
        message = f"{said}, and the rule accepts none from before {_when(rule.not_before)}."
        return Reason("time", "signed-too-early", message, "Get a newer version.")
    if rule.not_after is not None and signed > rule.not_after:
        message = f"{said}, and the rule accepts none from after {_when(rule.not_after)}."
        hint = "Get an older version, or ask who keeps the policy."
        return Reason("time", "signed-too-late", message, hint)
    return None


def future(signature: Authentic, rule: Rule, now: datetime | None) -> Reason | None:
    """Return the reason if the rule is about times and that of the signature is yet to come.

    It would stay young however old it gets, and keep out every later version.
    """
    signed = signature.time
    if not rule.needs_time or signed is None or now is None:
        return None
    if (signed - now).total_seconds() <= _SKEW:
        return None
    message = f"The model was signed at {_when(signed)}, which is in the future."
    hint = "Check the clock of this machine; if it is right, whoever vouches for the time errs."
    return Reason("time", "signed-in-the-future", message, hint)


def rolled_back(signature: Authentic, rule: Rule, newest: datetime | None) -> Reason | None:
    """Return the reason if a newer version was accepted before and the rule denies going back."""
    signed = signature.time
    if rule.rollback != "deny" or newest is None or signed is None or signed >= newest:
        return None
    message = (
        f"The model was signed at {_when(signed)}, before the version of {_when(newest)} "
        "that was accepted already."
    )
    hint = 'Get the newest version; to go back on purpose, take rollback = "deny" out of the rule.'
    return Reason("rollback", "rolled-back", message, hint)


def too_few(found: Sequence[Authentic], wanted: int) -> Reason:
    """Return the reason when fewer signers than wanted signed the same files."""
    names = list({one.signer.who: named(one.signer) for one in found}.values())
    said = ", ".join(names) or "none"
    message = f"{len(names)} of the signers given signed the same files, not {wanted}: {said}."
    hint = "Ask those who have not signed yet, or use a lower threshold only if that is meant."
    return Reason("threshold", "too-few-signers", message, hint)


def left_out(paths: Sequence[str]) -> Reason:
    """Return the reason when the signers left out what the rule does not allow."""
    message = f"The signer left out {listed(paths)}, which the rule does not allow."
    hint = "Have all of the model signed, or add the path to the rule's allow_ignored."
    return Reason("ignored", "ignored-not-allowed", message, hint)


def files(diff: ManifestDiff) -> Reason:
    """Return the reason when the files are not the ones that were signed."""
    if diff.only_added:
        message = f"Every signed file is intact, but there are files that nobody signed: {diff}."
        hint = (
            "Remove them if they do not belong to the model. Those that do no harm can be accepted "
            "by their names: --ignore-unsigned PATTERN, or ignore_unsigned in the policy's rule."
        )
        return Reason("files", "digest-mismatch", message, hint)
    message = f"The files are not the ones that were signed: {diff}."
    hint = "Do not use this model: something changed it after it was signed."
    if diff.pointers:
        message += f" In place of its content, {listed(diff.pointers)} has a Git LFS pointer."
        hint = "Get the contents with `git lfs pull`, then verify again."
    elif diff.signed_pointers:
        message += f" Of {listed(diff.signed_pointers)} the Git LFS pointer was signed."
        hint = "Ask the signer to run `git lfs pull` and to sign again: the content is not signed."
    return Reason("files", "digest-mismatch", message, hint)


def formats(
    signed: Manifest, contents: Mapping[str, str] | None, allowed: Sequence[str]
) -> Reason | None:
    """Return the reason if a file has contents that the rule does not allow."""
    if contents is None or len(contents) != len(signed.file_names()):
        message = "The rule allows some formats only, and not every file was looked into."
        return Reason("formats", "format-not-allowed", message, "This is a defect; report it.")
    wrong = [
        f"'{shown(name, 80)}' is {found}"
        for name, found in sorted(contents.items())
        if found not in allowed
    ]
    if not wrong:
        return None
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    message = f"The rule allows {', '.join(allowed)}: {', '.join(wrong[:NAMED])}{more}."
    hint = "Convert the files, or add their format to the rule's formats if you trust the signer."
    return Reason("formats", "format-not-allowed", message, hint)


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _span(age: timedelta) -> str:
    days = f"{age.days} days" if age.days != 1 else "1 day"
    if not age.seconds:
        return days
    clock = f"{age.seconds // 3600}:{age.seconds // 60 % 60:02}:{age.seconds % 60:02} hours"
    return f"{days} and {clock}" if age.days else clock
