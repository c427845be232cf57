# SPDX-License-Identifier: Apache-2.0
"""What an operator may not have meant, in a policy that is right otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.errors import shown
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.policy.rules import Policy, Rule


def remarks(policy: Policy) -> tuple[str, ...]:
    """Return a sentence on each thing that people should know about `policy`."""
    return (*_on_signers(policy), *_on_rules(policy))


def _on_signers(policy: Policy) -> Iterator[str]:
    used = {name for rule in policy.rules for name in rule.signers}
    for signer in policy.signers:
        name = shown(signer.name)
        if signer.name not in used:
            yield f"No rule accepts the signer '{name}'."
        if isinstance(signer, AcceptedAuthority) and signer.subject is None:
            yield f"'{name}' is everybody whom the CA certifies: there is no certificate_subject."
    needs_root = any(isinstance(one, AcceptedIdentity) for one in policy.signers)
    if needs_root and policy.trust_root is None:
        yield "[trust] has no root: the public Sigstore instance is believed; servers need a root."


def _on_rules(policy: Policy) -> Iterator[str]:
    if not policy.rules:
        yield "There is no rule, so every model is refused."
    for number, rule in enumerate(policy.rules, 1):
        what = f"Rule {number} ({_models(rule)})"
        earlier = _covered_by(rule, policy.rules[: number - 1])
        if earlier:
            yield f"{what} is never reached: rule {earlier} covers its models."
        if rule.mode == "warn":
            yield f"{what} only warns: whatever it refuses is accepted."
        if rule.not_before and rule.not_after and rule.not_before > rule.not_after:
            yield f"{what} accepts nothing: not_after is before not_before."
        if rule.needs_time and policy.trust_root is None:
            without = [
                shown(one.name)
                for one in policy.accepted_by(rule)
                if not isinstance(one, AcceptedIdentity)
            ]
            if without:
                yield (
                    f"{what} limits when a model was signed, which nobody vouches for without "
                    f"[trust] root: {', '.join(without)}."
                )


def _covered_by(rule: Rule, earlier: tuple[Rule, ...]) -> int | None:
    """Return the number of the first of the `earlier` rules that covers all of the same models."""
    for number, other in enumerate(earlier, 1):
        if "*" in other.models or set(rule.models) <= set(other.models):
            return number
    return None


def _models(rule: Rule) -> str:
    return ", ".join(shown(one, 40) for one in rule.models)
