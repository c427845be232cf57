# SPDX-License-Identifier: Apache-2.0
"""What a policy must never do, whatever it says: `agree` and `decide` over a small world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, product
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelseal.errors import FormatError, Undecided, UsageError
from modelseal.formats import oms
from modelseal.model.diff import ManifestDiff
from modelseal.policy.decide import Refused, agree, decide
from modelseal.policy.patterns import Glob
from modelseal.policy.rules import Policy, Revocation, Rule
from modelseal.policy.signers import AcceptedIdentity, AcceptedKey
from modelseal.policy.verdict import Verdict
from modelseal.trust.signer import Signer
from modelseal.verification.authentic import Authentic, Logged

ISSUER = "https://issuer.example"
KEY = AcceptedKey("key", ec.generate_private_key(ec.SECP256R1()).public_key())
ACCEPTED = (
    AcceptedIdentity("alice", "alice@example.com", ISSUER),
    AcceptedIdentity("bob", "bob@example.com", ISSUER),
    AcceptedIdentity("alice-again", "alice@example.com", ISSUER),
    AcceptedIdentity("ci", Glob("https://host/acme/*"), ISSUER),
    KEY,
)
SIGNERS = (
    Signer("alice@example.com", ISSUER),
    Signer("bob@example.com", ISSUER),
    Signer("bob@example.com", "https://other.example"),
    Signer("https://host/acme/v1", ISSUER),
    Signer("https://host/acme/v2", ISSUER),
    Signer(KEY.fingerprint, "public key", kind="key"),
)
NAMES = tuple(one.name for one in ACCEPTED)
DAYS = tuple(datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3))
NOW = DAYS[-1] + timedelta(hours=1)
FILES = tuple((oms.Resource("a", bytes([n]) * 32),) for n in range(2))
EXTRAS = ("x", "y")

some = st.sampled_from
files = some((FILES[0], FILES[0], FILES[0], FILES[1]))
times = st.none() | some(DAYS)
seldom = st.none() | st.none() | times  # else hardly anything would be accepted


def plain(signer: Signer, ignored: tuple[str, ...]) -> Authentic:
    manifest = oms.Manifest(FILES[0], ignored)
    return Authentic(signer, "oms", manifest, (DAYS[1],), None, "a root")


@st.composite
def signatures(draw):
    manifest = oms.Manifest(draw(files), tuple(sorted(draw(st.sets(some(EXTRAS))))))
    logged = draw(st.none() | st.builds(Logged, st.integers(0, 2), st.just(b"log")))
    time = draw(some((*DAYS, *DAYS, None)))
    seen = () if time is None else (time,)
    name = draw(some(("model.sig", "model.sig.2")))
    until = draw(times)
    return Authentic(draw(some(SIGNERS)), "oms", manifest, seen, logged, "a root", until, (), name)


# Signatures that count, over the same files, which leave out different ones.
counting = st.builds(plain, some(SIGNERS), some([(), ("x",), ("y",), ("x", "y")]))

revocations = st.builds(
    Revocation,
    reason=st.just("stolen"),
    digest=st.none() | some([f"sha256:{oms.Manifest(files).root().hex()}" for files in FILES]),
    signer=st.none() | some(NAMES),
    identity=st.none() | some([one.subject for one in SIGNERS]),
    key=st.none() | st.just(KEY.fingerprint),
    log_index=st.none() | st.none() | st.integers(0, 2),
    not_before=some((DAYS[0], DAYS[0], *DAYS)),  # something must be given
    not_after=seldom,
)


def lenient(names: list[str], threshold: int, allowed: tuple[str, ...]) -> Rule:
    threshold = min(threshold, len(names))
    return Rule(
        models=("*",), signers=tuple(names), threshold=threshold, allow_ignored=allowed
    )  # fmt: skip


@st.composite
def strict(draw):
    names = tuple(draw(st.lists(some(NAMES), min_size=1, unique=True)))
    return Rule(
        models=("*",),
        signers=names,
        threshold=draw(st.integers(1, min(2, len(names)))),
        allow_ignored=draw(some([(), ("x",), ("*",), ("*",)])),
        max_age=draw(seldom.map(lambda day: day and NOW - day)),
        not_before=draw(seldom),
        not_after=draw(seldom),
        digests=draw(some([(), (), (f"sha256:{oms.Manifest(FILES[0]).root().hex()}",)])),
        rollback=draw(some(["allow", "allow", "deny"])),
        mode=draw(some(["enforce", "warn"])),
    )


def rules():
    names = st.lists(some(NAMES), min_size=1, unique=True)
    return strict() | st.builds(lenient, names, st.integers(1, 2), some([(), ("x",), ("*",)]))


class World(NamedTuple):
    """What lies there: signatures that hold, others, files and extra files."""

    found: tuple[Authentic, ...]
    refused: tuple[Refused, ...]
    files: tuple[oms.Resource, ...]
    extras: frozenset[str]
    newest: datetime | None

    def verdict(self, policy: Policy, model: str = "m") -> Verdict:
        agreed = agree(model, self.found, self.refused, policy, now=NOW, newest=self.newest)
        if isinstance(agreed, Verdict):
            return agreed
        assert agreed
        verdicts = [decide(one, self._diff(one.manifest)) for one in agreed]
        return next((one for one in verdicts if one.code == "accepted"), verdicts[0])

    def _diff(self, manifest: oms.Manifest) -> ManifestDiff:
        changed = ("a",) if manifest.resources != self.files else ()
        return ManifestDiff(changed, tuple(sorted(self.extras - set(manifest.ignored))))


refusals = st.builds(
    Refused,
    some(["", "model.sig.3"]),
    some(
        [
            FormatError("bad-bundle", "It is broken."),
            Undecided("unreadable", "No."),
            UsageError("not-found", "Not there."),
        ]
    ),
)
worlds = st.builds(
    World,
    (st.lists(counting, min_size=1, max_size=4) | st.lists(signatures(), max_size=4)).map(tuple),
    st.lists(refusals, max_size=1).map(tuple),
    files,
    some([frozenset(), frozenset(), frozenset("x"), frozenset("xy")]),
    seldom,
)


def policy_of(*ruled: Rule, revoked: tuple[Revocation, ...] = ()) -> Policy:
    return Policy(signers=ACCEPTED, rules=ruled, revoked=revoked)


def holds(verdict: Verdict) -> bool:
    """Return whether nothing was objected to, whatever the rule does about objections."""
    return verdict.code == "accepted"


@given(worlds, rules(), st.lists(revocations, max_size=2))
def test_it_is_total(world, rule, revoked):
    verdict = world.verdict(policy_of(rule, revoked=tuple(revoked)))
    assert bool(verdict) == (verdict.status == "accepted") == (holds(verdict) or verdict.warned)
    assert verdict.message
    assert isinstance(verdict.to_dict(), dict)
    if holds(verdict):
        assert len({one.manifest.resources for one in verdict.signatures}) == 1
        assert world.extras <= set(verdict.ignored)


@settings(max_examples=100)
@given(worlds, rules(), st.lists(revocations, max_size=1), revocations)
def test_a_revocation_never_accepts_more(world, rule, revoked, more):
    if holds(world.verdict(policy_of(rule, revoked=(more, *revoked)))):
        assert holds(world.verdict(policy_of(rule, revoked=tuple(revoked))))


@settings(max_examples=100)
@given(worlds, rules(), st.data())
def test_a_signer_less_never_accepts_more(world, rule, data):
    assume(len(rule.signers) > rule.threshold)
    gone = data.draw(some(rule.signers))
    fewer = rule._replace(signers=tuple(name for name in rule.signers if name != gone))
    if holds(world.verdict(policy_of(fewer))):
        assert holds(world.verdict(policy_of(rule)))


@settings(max_examples=100)
@given(worlds, rules(), st.data())
def test_a_higher_threshold_never_accepts_more(world, rule, data):
    higher = rule._replace(threshold=data.draw(st.integers(rule.threshold, len(rule.signers))))
    if holds(world.verdict(policy_of(higher))):
        assert holds(world.verdict(policy_of(rule)))


@settings(max_examples=100)
@given(worlds, signatures(), rules())
def test_one_more_signature_never_accepts_less(world, more, rule):
    if holds(world.verdict(policy_of(rule))):
        assert holds(world._replace(found=(more, *world.found)).verdict(policy_of(rule)))


@given(worlds, rules(), some(DAYS))
def test_a_newer_version_that_was_accepted_never_accepts_more(world, rule, later):
    assume(world.newest is None or later > world.newest)
    if holds(world._replace(newest=later).verdict(policy_of(rule))):
        assert holds(world.verdict(policy_of(rule)))


@given(worlds, rules())
def test_what_was_accepted_is_accepted_again(world, rule):
    agreed = agree("m", world.found, (), policy_of(rule), now=NOW, newest=world.newest)
    for one in () if isinstance(agreed, Verdict) else agreed:
        again = agree("m", world.found, (), policy_of(rule), now=NOW, newest=one.time)
        assert not isinstance(again, Verdict)
        assert any(other.manifest == one.manifest for other in again)


@given(worlds, rules(), st.lists(revocations, max_size=2), st.randoms(use_true_random=False))
def test_only_the_order_of_rules_matters(world, rule, revoked, random):
    found, signers, names = list(world.found), list(ACCEPTED), list(rule.signers)
    for one in (found, signers, names):
        random.shuffle(one)
    shuffled = Policy(
        signers=tuple(signers),
        rules=(rule._replace(signers=tuple(names)),),
        revoked=tuple(reversed(revoked)),
    )
    before = world.verdict(policy_of(rule, revoked=tuple(revoked)))
    after = world._replace(found=tuple(found)).verdict(shuffled)
    assert (before.status, holds(before)) == (after.status, holds(after))


@given(worlds, rules(), rules(), rules())
def test_the_first_rule_that_covers_the_model_decides_alone(world, other, rule, later):
    other = other._replace(models=("n", "m?", "M"))
    assert world.verdict(policy_of(other, rule, later)) == world.verdict(policy_of(rule))


@given(worlds, rules())
def test_a_warning_changes_the_outcome_and_not_the_record(world, rule):
    enforced = world.verdict(policy_of(rule._replace(mode="enforce")))
    warned = world.verdict(policy_of(rule._replace(mode="warn")))
    if enforced.status == "refused":
        assert (warned.status, warned.warned) == ("accepted", True)
    assert warned.replace(status=enforced.status, warned=False) == enforced


WAYS = ((), ("x",), ("y",), ("x", "y"))  # to leave out files


@pytest.mark.parametrize(
    ("signers", "names"),
    [
        (SIGNERS[:2], ["alice", "bob"]),
        (SIGNERS[:2], ["alice", "alice-again"]),
        (SIGNERS[3:5], ["ci", "bob"]),
    ],
)
@pytest.mark.parametrize("allowed", [(), ("x",), ("*",)])
def test_every_small_world(signers, names, allowed):
    """Fewer signatures and higher thresholds never accept more: all cases, not a few at random."""
    kinds = tuple(plain(signer, ignored) for signer in signers for ignored in WAYS)
    sets = [frozenset(one) for size in range(4) for one in combinations(kinds, size)]
    accepted = 0
    for extras, threshold in product((frozenset(), frozenset("x"), frozenset("xy")), (1, 2)):
        answers = []
        for policy in (policy_of(lenient(names, n, allowed)) for n in (1, threshold)):
            worlds = (World(tuple(one), (), FILES[0], extras, None) for one in sets)
            answers.append({one.found: holds(one.verdict(policy)) for one in worlds})
        lower, higher = ({frozenset(one): yes for one, yes in some.items()} for some in answers)
        for one in (one for one, answer in higher.items() if answer):
            assert lower[one]
            assert all(higher[one | {more}] for more in kinds if len(one | {more}) in {1, 2, 3})
            accepted += 1
            names_of = {signature.signer.subject for signature in one}
            assert threshold == 1 or (len(names_of) == 2 and names == ["alice", "bob"])
    assert accepted
