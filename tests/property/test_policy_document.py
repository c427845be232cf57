# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.policy import document
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import AcceptedIdentity

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def policies(draw):
    names = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    signers = tuple(AcceptedIdentity(name, draw(TEXT), draw(TEXT)) for name in names)
    chosen = st.lists(st.sampled_from(names), min_size=1, max_size=3).map(tuple)
    strings = st.lists(TEXT, min_size=1, max_size=3).map(tuple)
    rules = draw(
        st.lists(
            st.builds(Rule, models=strings, signers=chosen, allow_ignored=st.just(()) | strings),
            max_size=3,
        )
    )
    runtimes = draw(st.just(()) | strings)
    root = draw(st.none() | st.just(Path("/etc/x y/\N{SNOWMAN}.json")))
    return Policy(signers=signers, rules=tuple(rules), runtimes=runtimes, trust_root=root)


@given(policies())
def test_what_is_written_is_read_back(policy):
    assert document.parse(document.to_toml(policy), Path("/elsewhere")) == policy


@given(st.text())
def test_any_text_is_a_policy_or_a_refusal(text):
    with contextlib.suppress(FormatError):
        document.parse(text, Path("/"))


@given(policies(), st.from_regex("[A-Za-z0-9_-]+", fullmatch=True), TEXT)
def test_an_unknown_key_is_refused_wherever_it_is(policy, key, value):
    known = {"version", "default", "trust", "signers", "rule", "mlserver"}
    line = f"{key} = {document._quoted(value)}\n"
    if key not in known:
        try:
            document.parse(line + document.to_toml(policy), Path("/"))
        except FormatError as error:
            assert "(line 1)" in error.message  # noqa: PT017 - the property is about the text
        else:
            raise AssertionError(key)
