# SPDX-License-Identifier: Apache-2.0
"""An operator's rules as values: which signers are accepted for which models."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.trust.signer import Signer
    from modelseal.verification.authenticate import Verifier

EXPECTED = "expected"  # what `Policy.for_signer` calls its one signer


class AcceptedIdentity(NamedTuple):
    """One accepted signer: subject and issuer, both compared exactly."""

    name: str
    identity: str
    issuer: str

    def is_(self, found: Signer) -> bool:
        """Return whether `found` is this signer."""
        return (found.subject, found.issuer) == (self.identity, self.issuer)

    def __str__(self) -> str:
        return f"{self.identity} ({self.issuer})"


class Rule(NamedTuple):
    """For models whose name matches one of the `models` globs, the names of accepted signers.

    Paths that the signer left out must match one of the `allow_ignored` globs.
    """

    models: tuple[str, ...]
    signers: tuple[str, ...]
    allow_ignored: tuple[str, ...] = ()

    def covers(self, model: str) -> bool:
        """Return whether this rule is about `model`; case matters on every system."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)

    def allows_ignored(self, path: str) -> bool:
        """Return whether the signer may have left out `path`."""
        return any(fnmatchcase(path, pattern) for pattern in self.allow_ignored)


class Policy(NamedTuple):
    """Rules in order, the first that covers a model decides; a model without a rule is refused.

    `runtimes` are the import paths that a server may run; `trust_root` is the trusted root to
    believe, when the policy names one; `verifier` says whose checks of a signature count.
    """

    signers: tuple[AcceptedIdentity, ...]
    rules: tuple[Rule, ...]
    runtimes: tuple[str, ...] = ()
    trust_root: Path | None = None
    verifier: Verifier = "modelseal"

    @classmethod
    def for_signer(cls, identity: str, issuer: str, verifier: Verifier = "modelseal") -> Policy:
        """Return the policy that accepts this one signer for every model, whatever is left out."""
        signer, rule = (
            AcceptedIdentity(EXPECTED, identity, issuer),
            Rule(("*",), (EXPECTED,), ("*",)),
        )
        return cls((signer,), (rule,), verifier=verifier)

    def rule_for(self, model: str) -> Rule | None:
        """Return the first rule that covers `model`."""
        return next((rule for rule in self.rules if rule.covers(model)), None)

    def accepted_by(self, rule: Rule) -> tuple[AcceptedIdentity, ...]:
        """Return the signers that `rule` accepts, in its order."""
        known = {signer.name: signer for signer in self.signers}
        return tuple(known[name] for name in rule.signers)
