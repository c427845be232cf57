# SPDX-License-Identifier: Apache-2.0
"""What `policy init` writes and `policy explain` suggests is a policy that does what it says."""

from __future__ import annotations

import base64
import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelseal.formats import oms
from modelseal.model.diff import ManifestDiff
from modelseal.policy import document
from modelseal.policy.decide import agree, decide
from modelseal.policy.explain import explain
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import AcceptedIdentity
from modelseal.policy.template import template
from modelseal.policy.verdict import Verdict
from modelseal.trust import fulcio
from modelseal.trust.signer import Signer
from modelseal.verification.authentic import Authentic, Logged

VECTORS = Path(__file__).parents[2] / "vectors"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUER = "https://issuer.example"


def signature(signer, *ignored):
    manifest = oms.Manifest((oms.Resource("a", bytes(32)),), ignored)
    return Authentic(signer, "oms", manifest, (NOW,), Logged(7, b"log"), "a root")


def github():
    bundle = json.loads((VECTORS / "sigstore-go" / "npm-provenance-v0.1.sigstore.json").read_text())
    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    return fulcio.of_certificate(base64.b64decode(chain[0]["rawBytes"]))


def judged(found, policy, model="m", diff=ManifestDiff()):  # noqa: B008 - immutable
    agreed = agree(model, [found], (), policy, now=NOW)
    return agreed if isinstance(agreed, Verdict) else decide(agreed[0], diff)


def policy_for(signer, **more):
    accepted = AcceptedIdentity("release", signer.subject, signer.issuer)
    rule = Rule(models=("m",), signers=("release",), **more)
    return Policy(signers=(accepted,), rules=(rule,))


def test_the_alternative_for_a_workflow_accepts_the_same_signer():
    signer = github()
    text = template(policy_for(signer), [signature(signer)], "m", "root.json")
    assert judged(signature(signer), document.parse(text, Path("/")))
    lines = []
    for line in text.splitlines():
        if line.startswith("# github = "):
            lines[-3:] = [line.removeprefix("# ")]  # in place of identity, issuer and the comment
        else:
            lines.append(line)
    workflow = document.parse("\n".join(lines), Path("/"))
    assert workflow.signers[0].identity is None
    assert judged(signature(signer), workflow)
    claims = tuple((k, v) for k, v in signer.claims if k != "source-repository-owner-identifier")
    assert not judged(signature(signer._replace(claims=claims)), workflow)


def test_hostile_text_stays_in_its_line():
    signer = Signer('a"\n[[rule]]\nmodels = ["*"]', "https://i\n# x")
    text = template(policy_for(signer), [signature(signer)], 'm\n"', None)
    parsed = document.parse(text, Path("/"))
    assert len(parsed.rules) == 1
    assert parsed.signers[0].identity == signer.subject


CASES = {
    "ignored-not-allowed": {"found": ("secret[1].py",)},
    "digest-mismatch": {"diff": ManifestDiff(added=("x y.tmp",))},
    "version-not-pinned": {"rule": {"digests": ("sha256:" + "f" * 64,)}},
}


@pytest.mark.parametrize("code", CASES)
def test_a_suggested_change_of_the_rule_has_the_effect_that_it_promises(code):
    case = CASES[code]
    signer = Signer("a@x", ISSUER)
    policy = policy_for(signer, **case.get("rule", {}))
    found = signature(signer, *case.get("found", ()))
    verdict = judged(found, policy, diff=case.get("diff", ManifestDiff()))
    assert verdict.code == code
    change = explain(verdict, policy, "m").change
    assert change.startswith("# in [[rule]] number 1\n")
    ((key, value),) = tomllib.loads(change).items()
    changed = policy_for(signer, **{key: tuple(value)})
    if code == "digest-mismatch":
        assert changed.rules[0].ignore_unsigned == ("x y.tmp",)
    else:
        assert judged(found, changed)


def test_a_suggested_signer_is_the_one_who_signed():
    policy = policy_for(Signer("a@x", ISSUER))
    verdict = judged(signature(Signer("b@x", ISSUER)), policy)
    first, _, rule = explain(verdict, policy, "m").change.partition("# in [[rule]] number 1\n")
    assert tomllib.loads(first)["signers"]["NAME"] == {"identity": "b@x", "issuer": ISSUER}
    assert tomllib.loads(rule) == {"signers": ["release", "NAME"]}


def test_nothing_is_suggested_for_a_changed_model():
    policy = policy_for(Signer("a@x", ISSUER))
    verdict = judged(signature(Signer("a@x", ISSUER)), policy, diff=ManifestDiff(changed=("a",)))
    assert explain(verdict, policy, "m").change == ""


def test_a_model_without_a_rule_needs_one():
    policy = policy_for(Signer("a@x", ISSUER))
    verdict = judged(signature(Signer("a@x", ISSUER)), policy, "other")
    explained = explain(verdict, policy, "other")
    assert (explained.number, explained.accepted) == (None, ())
    assert tomllib.loads(explained.change) == {"rule": [{"models": ["other"], "signers": ["NAME"]}]}
