# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelseal.formats import oms
from modelseal.model.diff import ManifestDiff
from modelseal.policy.decide import agree, decide
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import AcceptedIdentity
from modelseal.policy.verdict import Verdict
from modelseal.trust.signer import Signer
from modelseal.verification.authentic import Authentic, Logged

ISSUER = "https://issuer.example"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = oms.Manifest((oms.Resource("a", bytes(32)),))
SIGNERS = (
    AcceptedIdentity("alice", "alice@example.com", ISSUER),
    AcceptedIdentity("bob", "bob@example.com", ISSUER),
)


def _signature(subject="alice@example.com", issuer=ISSUER, manifest=MANIFEST):
    logged = Logged(1, b"log")
    return Authentic(Signer(subject, issuer), "oms", manifest, (NOW,), logged, "a file")


def _judged(found, policy, model="m", diff=None):
    agreed = agree(model, [found], (), policy, now=NOW)
    return agreed if isinstance(agreed, Verdict) else decide(agreed[0], diff or ManifestDiff())


def _rule(models, signers, **more):
    return Rule(models=models, signers=signers, **more)


def _verdict(rules, model="m", diff=None, **signer):
    policy = Policy(signers=SIGNERS, rules=tuple(rules))
    return _judged(_signature(**signer), policy, model, diff)


def test_accepted_with_every_check():
    verdict = _verdict([_rule(("*",), ("alice", "bob"))])
    assert verdict
    assert verdict.code == "accepted"
    assert [check.name for check in verdict.checks] == ["signature", "rule", "signer", "files"]


def test_first_rule_that_covers_the_model_decides():
    rules = [_rule(("m-*",), ("bob",)), _rule(("*",), ("alice",))]
    assert _verdict(rules, model="other")
    refused = _verdict(rules, model="m-1")
    assert (refused.status, refused.code) == ("refused", "identity-mismatch")


def test_globs_are_case_sensitive_and_a_model_without_a_rule_is_refused():
    for model in ("Digits", "digits2", "x"):
        assert _verdict([_rule(("digits", "x-?"), ("alice",))], model=model).code == "no-rule"
    assert _verdict([], model="m").code == "no-rule"


@pytest.mark.parametrize(
    ("subject", "issuer", "code"),
    [
        ("mallory@example.com", ISSUER, "identity-mismatch"),
        ("alice@example.com", "https://evil.example", "issuer-mismatch"),
        ("mallory@example.com", "https://evil.example", "identity-mismatch"),
        ("Alice@example.com", ISSUER, "identity-mismatch"),
        ("alice@example.com ", ISSUER, "identity-mismatch"),
        ("alice@example.com", ISSUER + "/", "issuer-mismatch"),
    ],
)
def test_one_expected_signer_is_said_with_the_one_found(subject, issuer, code):
    policy = Policy.for_signer("alice@example.com", ISSUER)
    verdict = _judged(_signature(subject, issuer), policy)
    assert (bool(verdict), verdict.code) == (False, code)
    found, expected = (
        (subject, "alice@example.com") if code == "identity-mismatch" else (issuer, ISSUER)
    )
    assert f"'{found}', not '{expected}'" in verdict.message


def test_none_of_several():
    verdict = _verdict([_rule(("*",), ("alice", "bob"))], subject="mallory@example.com")
    assert verdict.code == "signer-not-accepted"
    assert "bob@example.com" in verdict.message


def test_pair_of_one_signers_identity_with_anothers_issuer():
    signers = (
        AcceptedIdentity("a", "a@x", "https://one"),
        AcceptedIdentity("b", "b@x", "https://two"),
    )
    policy = Policy(signers=signers, rules=(_rule(("*",), ("a", "b")),))
    assert _judged(_signature("a@x", "https://two"), policy).code == "signer-not-accepted"


def test_other_files_than_signed():
    verdict = _verdict([_rule(("*",), ("alice",))], diff=ManifestDiff(changed=("a",)))
    assert (verdict.status, verdict.code) == ("refused", "digest-mismatch")
    assert "changed: 'a'" in verdict.message


def test_what_the_signer_left_out_must_be_allowed():
    names = (".git", "model.sig", "model.sig.2", "README.md", "docs/evil.py")
    manifest = oms.Manifest((oms.Resource("a", bytes(32)),), names)
    found = _signature(manifest=manifest)

    def verdict(*allowed):
        rule = _rule(("*",), ("alice",), allow_ignored=allowed)
        return _judged(found, Policy(signers=SIGNERS, rules=(rule,)))

    assert verdict("*.md", "docs/*")
    assert verdict("*")
    refused = verdict("*.md")
    assert (refused.status, refused.code) == ("refused", "ignored-not-allowed")
    assert "docs/evil.py" in refused.message
    assert "README.md" not in refused.message
    assert verdict().code == "ignored-not-allowed"
