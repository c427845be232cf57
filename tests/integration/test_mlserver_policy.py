# SPDX-License-Identifier: Apache-2.0
"""The policy changes while MLServer runs, with each number of workers: loaded models follow."""

from __future__ import annotations

import json

import pytest
from patience import wait_until

REVOKED = '[[revoked]]\nreason = "stolen (INC-7)"\nsigner = "release"\n'


@pytest.fixture(scope="module", params=[0, 1, 2], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    site.sign(site.write("digits"), site.write("other"))
    with start_mlserver(site, workers=request.param, **verified_settings(site)) as server:
        yield site, server


@pytest.fixture(autouse=True)
def _as_at_the_start(serving):
    site, server = serving
    yield
    _put(site, "")
    wait_until(lambda: server.load("digits").status == 200, "the first policy")


def _put(site, more, signer="alice@example.com"):
    """Replace the policy as tools do."""
    new = site.config / "policy.new"
    text, mlserver = site.policy_text(signer).split("[mlserver]")
    new.write_text(text + (more if "[[" in more else "") + "[mlserver]" + mlserver)
    if "[[" not in more:
        new.write_text(new.read_text() + more)
    new.rename(site.config / "policy.toml")


def _said(server, text):
    return lambda: text in server.log.read_text()


def test_a_revoked_model_is_unloaded(serving):
    site, server = serving
    assert server.load("digits").status == 200
    assert server.load("other").status == 200
    log = site.config / "decisions.jsonl"
    _put(site, REVOKED + f'[log]\npath = "{log}"\n')
    for name in ("digits", "other"):
        asked = lambda name=name: server.ask(name, site.digits.rows).status == 404  # noqa: E731
        wait_until(asked, f"{name} to be unloaded")
    assert "no longer accepted: digits: " in server.log.read_text()
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert ("digits", "refused", "revoked") in {
        (one["model"], one["verdict"], one["code"]) for one in logged if "model" in one
    }
    state, reason = server.index()["digits"]
    assert state == "UNAVAILABLE"
    assert "stolen (INC-7)" in reason
    assert reason.endswith("[revoked]")
    assert server.load("digits").status == 400
    _put(site, "")
    wait_until(lambda: server.load("digits").status == 200, "the policy without the revocation")
    assert server.infer("digits", site.digits.rows) == site.digits.answers


def test_only_what_is_revoked_goes(serving):
    site, server = serving
    assert server.load("other").status == 200
    _put(site, "", signer="somebody@example.com")
    wait_until(lambda: server.index()["digits"][0] == "UNAVAILABLE", "digits to be unloaded")
    assert server.index()["digits"][1].endswith("[identity-mismatch]")


def test_a_broken_policy_keeps_the_old_one(serving):
    site, server = serving
    before = server.log.read_text().count("the new policy cannot be used")
    (site.config / "policy.toml").write_text('version = 2\ndefault = "deny"\n')
    said = lambda: server.log.read_text().count("the new policy cannot be used") > before  # noqa: E731
    wait_until(said, "a line in the log")
    assert "'version' must be 1, not '2' (line 1). [bad-policy]" in server.log.read_text()
    assert server.load("digits").status == 200
    assert server.infer("digits", site.digits.rows) == site.digits.answers


def test_only_reported(serving):
    site, server = serving
    assert server.load("digits").status == 200
    _put(site, 'on_revoked = "report"\n', signer="somebody@example.com")
    reported = lambda: server.index()["digits"][1].endswith("[identity-mismatch]")  # noqa: E731
    wait_until(reported, "the report")
    assert server.index()["digits"][0] == "READY"
    assert server.infer("digits", site.digits.rows) == site.digits.answers
    assert server.load("digits").status == 400


def test_a_refused_reload_unloads_if_the_policy_says_so(serving):
    site, server = serving
    folder = site.signed("changing")
    _put(site, 'on_refused_reload = "unload"\n')
    assert server.load("changing").status == 200
    original = (folder / "model.joblib").read_bytes()
    (folder / "model.joblib").write_bytes(site.payload())

    def gone():
        assert server.load("changing").status == 400
        return server.ask("changing", site.digits.rows).status == 404

    wait_until(gone, "the policy that says unload")
    (folder / "model.joblib").write_bytes(original)
    assert server.load("changing").status == 200
    assert site.untouched
