# SPDX-License-Identifier: Apache-2.0
"""The policy is replaced while the server runs by something that would stop or open it."""

from __future__ import annotations

import os

import pytest
from patience import wait_until


def _swapped(site, text=None, *, to=None):
    """Replace the policy by a text, or by a link."""
    new = site.config / "policy.new"
    if to is None:
        new.write_text(text)
    else:
        new.symlink_to(to)
    new.rename(site.config / "policy.toml")


@pytest.fixture(scope="module")
def serving(make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    site.signed("digits")
    os.mkfifo(site.config / "fifo")
    with start_mlserver(site, workers=1, **verified_settings(site)) as server:
        assert server.load("digits").status == 200
        yield site, server


def _failures(server):
    return server.log.read_text().count("the new policy cannot be used")


SLOW = "(a+)+" * 200
HOSTILE = {
    "link to a FIFO": {"to": "fifo"},
    "link to itself": {"to": "policy.toml"},
    "link to a folder": {"to": "/proc"},
    "endless": {"to": "/dev/zero"},
    "slow pattern": {"pattern": f"https://example.com/acme/{SLOW}"},
    "large pattern": {"pattern": "https://example.com/acme/" + "(((a{1000}){1000}){1000})"},
    "loose pattern": {"pattern": ".*"},
    "pattern with an end of its own": {"pattern": "https://example.com/acme/a)|(?:.*"},
    "allow": {"replace": ('default = "deny"', 'default = "allow"')},
    "no root": {"replace": ("[trust]", "[trust]\nnothing = 1")},
    "empty": {"text": ""},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_it_changes_nothing(serving, what):
    site, server = serving
    good, before = site.policy_text(), _failures(server)
    how = HOSTILE[what]
    if "to" in how:
        _swapped(site, to=how["to"])
    elif "pattern" in how:
        identity = 'identity = "alice@example.com"'
        _swapped(site, good.replace(identity, f"identity_regex = '{how['pattern']}'"))
    else:
        _swapped(site, how.get("text", good.replace(*how.get("replace", ("", "")))))
    expected = 0 if what == "slow pattern" else 1  # RE2's syntax takes linear time, so it is fine
    if expected:
        wait_until(lambda: _failures(server) > before, "the refusal of the policy")
        assert server.infer("digits", site.digits.rows) == site.digits.answers
        assert server.load("digits").status == 200
    _swapped(site, good)
    wait_until(lambda: server.load("digits").status == 200, "the good policy")
    assert server.infer("digits", site.digits.rows) == site.digits.answers


def test_a_policy_in_two_halves_is_never_half_in_force(serving):
    """It is written in place, so that a server may read the first half of it."""
    site, server = serving
    text = site.policy_text()
    revoked = '[[revoked]]\nreason = "stolen"\nsigner = "release"\n'
    with (site.config / "policy.toml").open("w") as file:
        for part in (text[: len(text) // 2], text[len(text) // 2 :], revoked):
            file.write(part)
            file.flush()
            assert server.index().keys() == {"digits"}
    wait_until(lambda: server.ask("digits", site.digits.rows).status == 404, "the revocation")
    _swapped(site, text)
    wait_until(lambda: server.load("digits").status == 200, "the good policy")
