# SPDX-License-Identifier: Apache-2.0
"""A policy and its printed form agree, in TOML, in JSON and with the published schema."""

from __future__ import annotations

import contextlib
import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st
from private_ca import Kind, issued

from modelseal.errors import FormatError, UsageError
from modelseal.model.content import FORMATS
from modelseal.policy import document, printed, schema
from modelseal.policy.patterns import Glob, Regex
from modelseal.policy.rules import (
    MODES,
    ON_REFUSED_RELOAD,
    ON_REVOKED,
    ROLLBACK,
    SYMLINKS,
    LogRules,
    MLServerRules,
    Policy,
    Revocation,
    Rule,
    StoreRules,
)
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity, AcceptedKey
from modelseal.policy.workflows import CLAIMS, Workflow
from modelseal.verification.believed import CHECKS

SCHEMA = jsonschema.Draft202012Validator(schema.to_json_schema())
KEYS = (
    ec.generate_private_key(ec.SECP256R1()).public_key(),
    ed25519.Ed25519PrivateKey.generate().public_key(),
)
CA = issued(Kind("root"), None).certificate

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
STRINGS = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
MAYBE_STRINGS = st.just(()) | STRINGS
MOMENTS = st.none() | st.integers(0, 10**15).map(
    lambda n: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)
)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")
GLOBS = st.text("*?a/@.", max_size=8).map(lambda end: Glob(f"https://host/owner/{end}"))
REGEXES = TEXT.map(
    lambda end: r"https://ho\.st/owner/" + "".join(f"[{c}]?" for c in "abc" if c in end)
)
WORKFLOWS = st.builds(
    Workflow,
    platform=st.sampled_from(["github", "gitlab"]),
    repository=st.sampled_from(["acme/models", "https://git.example:8443/a/b/c"]),
    workflow=st.sampled_from(["train.yml", "ci/x y.yaml"]),
    ref=st.lists(st.sampled_from(["refs/heads/main", "refs/tags/v*"]), min_size=1, unique=True).map(
        tuple
    ),
    **dict.fromkeys(CLAIMS, MAYBE_STRINGS),
)


def named(name):
    identity = TEXT | GLOBS | REGEXES.map(Regex)
    return st.one_of(
        st.builds(AcceptedIdentity, st.just(name), identity, TEXT, st.none() | WORKFLOWS),
        st.builds(AcceptedIdentity, st.just(name), st.none(), TEXT, WORKFLOWS),
        st.builds(AcceptedKey, st.just(name), st.sampled_from(KEYS), st.booleans()),
        st.builds(
            AcceptedAuthority, st.just(name), st.just((CA,)), st.none() | TEXT, st.booleans()
        ),
    )


@st.composite
def policies(draw):
    names = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    signers = tuple(draw(named(name)) for name in names)
    chosen = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)))
    rule = st.builds(
        Rule,
        models=STRINGS,
        signers=st.just(chosen),
        threshold=st.integers(1, len(chosen)),
        allow_ignored=MAYBE_STRINGS,
        ignore_unsigned=MAYBE_STRINGS,
        symlinks=st.sampled_from(SYMLINKS),
        formats=st.lists(st.sampled_from(FORMATS), max_size=3).map(tuple),
        max_age=st.none() | st.integers(1, 10**7).map(lambda n: timedelta(seconds=n)),
        not_before=MOMENTS,
        not_after=MOMENTS,
        digests=st.just(()) | st.lists(DIGESTS, min_size=1, max_size=2).map(tuple),
        rollback=st.sampled_from(ROLLBACK),
        mode=st.sampled_from(MODES),
    )
    revocation = st.builds(
        Revocation,
        reason=TEXT,
        digest=st.none() | DIGESTS,
        signer=st.none() | st.sampled_from(names),
        identity=st.none() | TEXT,
        key=st.none() | DIGESTS,
        log_index=st.integers(0, 2**40),
        not_before=MOMENTS,
        not_after=MOMENTS,
    )
    only_identities = all(isinstance(one, AcceptedIdentity) for one in signers)
    return Policy(
        signers=signers,
        rules=tuple(draw(st.lists(rule, max_size=2))),
        revoked=tuple(draw(st.lists(revocation, max_size=2))),
        mlserver=MLServerRules(
            draw(MAYBE_STRINGS),
            draw(MAYBE_STRINGS),
            draw(st.sampled_from(ON_REVOKED)),
            draw(st.sampled_from(ON_REFUSED_RELOAD)),
        ),
        allow_holes=draw(MAYBE_STRINGS),
        trust_root=draw(st.none() | st.just(Path("/etc/x y/\N{SNOWMAN}.json"))),
        verifier=draw(st.sampled_from(CHECKS if only_identities else CHECKS[:1])),
        store=draw(STORES),
        log=draw(LOGS),
    )


STORES = st.builds(
    StoreRules,
    keep_days=st.none() | st.integers(0, 10**4),
    max_size=st.none() | st.integers(1, 10**14),
    verify=st.booleans(),
)
LOGS = st.none() | st.builds(
    LogRules, path=st.just(Path("/var/log/x y/\N{SNOWMAN}.jsonl")), keep_days=st.integers(1, 4000)
)


@given(policies())
def test_what_is_printed_is_read_back(policy):
    as_json = json.dumps(printed.to_dict(policy))
    for text in (printed.to_toml(policy), as_json):
        again = document.parse(text, Path("/elsewhere"))
        assert again == policy
        # Tuples of different kinds are equal.
        assert list(map(type, again.signers)) == list(map(type, policy.signers))
        assert printed.to_dict(again) == printed.to_dict(policy)


@given(policies())
def test_the_schema_takes_what_is_printed(policy):
    SCHEMA.validate(printed.to_dict(policy))


@given(st.text())
def test_any_text_is_a_policy_or_a_refusal(text):
    with contextlib.suppress(FormatError):
        document.parse(text, Path("/"))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", "x", "90d", "deny", "2026-01-31", "sha256:" + "0" * 64]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)
PLACES = [
    (*place, name)
    for place, keys in (
        ((), schema.DOCUMENT),
        (("trust",), schema.DOCUMENT["trust"].table),
        (("signers", "a"), schema.SIGNER),
        (("signers", "a", "github"), schema.SIGNER["github"].table),
        (("rule", 0), schema.RULE),
        (("revoked", 0), schema.REVOKED),
        (("mlserver",), schema.DOCUMENT["mlserver"].table),
    )
    for name in (*keys, "unknown")
]
FULL = {
    "version": 1,
    "default": "deny",
    "trust": {"root": "root.json"},
    "signers": {
        "a": {"github": {"repository": "a/b", "workflow": "c.yml", "ref": "refs/heads/main"}}
    },
    "rule": [{"models": ["*"], "signers": ["a"]}],
    "revoked": [{"reason": "stolen", "signer": "a"}],
    "mlserver": {"runtimes": ["x"]},
    "exec": {"allow_holes": ["x"]},
}


@given(st.sampled_from(PLACES), VALUES | st.just("gone"))
def test_the_schema_refuses_only_what_the_reader_refuses(place, value):
    """The reader may be stricter: a schema does not see which keys go together."""
    changed = json.loads(json.dumps(FULL))
    *way, name = place
    table = changed
    for one in way:
        table = table[one]
    if value == "gone":
        table.pop(name, None)
    else:
        table[name] = value
    if not SCHEMA.is_valid(changed):
        with pytest.raises(FormatError):
            document.parse(json.dumps(changed), Path("/"))


@given(policies(), st.from_regex("[A-Za-z0-9_-]+", fullmatch=True), TEXT)
def test_an_unknown_key_is_refused_wherever_it_is(policy, key, value):
    text = printed.to_toml(policy)
    if key in tomllib.loads(text) or key in schema.DOCUMENT:
        return
    line = f"{key} = {printed._value(value)}\n"
    with pytest.raises(FormatError, match=r"\(line 1\)"):
        document.parse(line + text, Path("/"))


@given(st.text(max_size=30))
def test_a_pattern_is_refused_or_begins_with_an_owner(text):
    for make in (Glob, Regex):
        try:
            signer = AcceptedIdentity("x", make(text), "https://issuer.example")
            signer.check()
        except UsageError:
            continue
        assert signer.identity.literal.count("/") >= 4
        assert not signer.covers("https://host.example/")
