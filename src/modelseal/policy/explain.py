# SPDX-License-Identifier: Apache-2.0
"""Why a policy decides as it does about a model, and what would have to change for a yes."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from typing import TYPE_CHECKING

from modelseal.policy.printed import to_toml_table
from modelseal.policy.verdict import left_out

if TYPE_CHECKING:
    from modelseal.policy.rules import Policy, Rule
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.signer import Signer

_MOST = 20  # files that are named
_OTHER_SIGNER = {"identity-mismatch", "issuer-mismatch", "signer-not-accepted"}


@dataclass(frozen=True)
class Explanation:
    """The rule that decides, the number it has in the document, and how the verdict could change.

    `change` is TOML for the policy; empty if no policy should let such a model through.
    """

    verdict: Verdict
    rule: Rule | None
    number: int | None
    accepted: tuple[str, ...]
    change: str


def explain(verdict: Verdict, policy: Policy, name: str) -> Explanation:
    """Return why `policy` came to the `verdict` about the model that its rules know by `name`."""
    rule = policy.rule_for(name)
    number = None if rule is None else policy.rules.index(rule) + 1
    accepted = policy.accepted_by(rule) if rule else ()
    texts = tuple(f"{signer.name}: {signer}" for signer in accepted)
    return Explanation(verdict, rule, number, texts, _change(verdict, rule, number, name))


def _change(verdict: Verdict, rule: Rule | None, number: int | None, name: str) -> str:
    if verdict.code == "no-rule":
        return to_toml_table({"rule": [{"models": [name], "signers": ["NAME"]}]})
    if rule is None or not verdict.signatures:
        return ""
    if verdict.code in _OTHER_SIGNER and verdict.signer is not None:
        in_rule: dict[str, object] = {"signers": [*rule.signers, "NAME"]}
        return f"{_accept(verdict.signer)}\n# in [[rule]] number {number}\n{to_toml_table(in_rule)}"
    additions = _additions(verdict, rule)
    return f"# in [[rule]] number {number}\n{to_toml_table(additions)}" if additions else ""


def _accept(signer: Signer) -> str:
    if signer.kind == "identity":
        table: dict[str, object] = {"identity": signer.subject, "issuer": signer.issuer}
    elif signer.kind == "certificate":
        table = {"certificate_chain": "ca.pem", "certificate_subject": signer.subject}
    else:
        table = {"public_key": "release.pub"}
    return to_toml_table({"signers": {"NAME": table}})


def _additions(verdict: Verdict, rule: Rule) -> dict[str, object]:
    """Return the keys of the rule that would have to be other, with their values."""
    match verdict.code:
        case "ignored-not-allowed" if verdict.manifest is not None:
            paths = (one for one in left_out(verdict.manifest) if not rule.allows_ignored(one))
            return {"allow_ignored": [*rule.allow_ignored, *map(escape, paths)]}
        case "digest-mismatch" if not verdict.diff.changed and not verdict.diff.missing:
            added = map(escape, verdict.diff.added[:_MOST])
            return {"ignore_unsigned": [*rule.ignore_unsigned, *added]}
        case "version-not-pinned":
            root = f"sha256:{verdict.signatures[0].manifest.root().hex()}"
            return {"digests": [*rule.digests, root]}
        case "rolled-back":
            return {"rollback": "allow"}
        case _:
            return {}
