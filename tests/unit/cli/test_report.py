# SPDX-License-Identifier: Apache-2.0
"""`modelseal report`: the state of every model, in every form."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser

import output_schema
import pytest
from in_process import invoke
from sarif_pydantic import Sarif

from modelseal.admission.report import state_of
from modelseal.policy.verdict import Verdict

EVIL = "<b>evil<script>alert(1)"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in ("release", "other"):
        assert invoke("key", "generate", folder / f"{name}.key").exit_code == 0
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory, keys):
    """Return a folder with one model of each state that files alone can be in."""
    root = tmp_path_factory.mktemp("all") / "models"
    for name in ("accepted", "org/drifted", "refused", EVIL):
        (root / name).mkdir(parents=True)
        for file in ("changed", "missing"):
            (root / name / file).write_text(name)
    signed = [root / "accepted", root / "org" / "drifted"]
    assert invoke("sign", *signed, "--key", keys / "release.key").exit_code == 0
    assert invoke("sign", root / "refused", "--key", keys / "other.key").exit_code == 0
    drifted = root / "org" / "drifted"
    (drifted / "changed").write_text("other")
    (drifted / "missing").unlink()
    (drifted / "added<i>").write_text("new")
    return root


@pytest.fixture
def report(models, keys):
    return lambda *more: invoke("report", models, "--key", keys / "release.pub", *more)


def test_text(report, models):
    done = report()
    assert done.exit_code == 1
    assert sorted(line.split()[0] for line in done.stdout.splitlines()) == [
        "accepted", "drifted", "refused", "unsigned",
    ]  # fmt: skip
    assert done.stderr.splitlines()[-1] == (
        "4 models: 1 refused, 1 drifted, 1 unsigned, 1 accepted"
    )


def test_json(report, tmp_path):
    done = report("--format", "json")
    document = json.loads(done.stdout)
    assert output_schema.problem(document) is None
    assert document["exit_code"] == done.exit_code == 1
    assert document["counts"] == {"refused": 1, "drifted": 1, "unsigned": 1, "accepted": 1}
    (drifted,) = (one for one in document["models"] if one["state"] == "drifted")
    assert [drifted["diff"][word] for word in ("changed", "added", "missing")] == [
        ["changed"], ["added<i>"], ["missing"],
    ]  # fmt: skip
    assert report("--format", "json", "--out", tmp_path / "r.json").exit_code == 1
    written = json.loads((tmp_path / "r.json").read_text())
    assert output_schema.problem(written) is None
    assert written["counts"] == document["counts"]


def test_all_accepted(models, keys):
    done = invoke("report", models / "accepted", "--key", keys / "release.pub")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "1 models: 1 accepted")


def test_sarif(report, models):
    log = json.loads(report("--format", "sarif").stdout)
    parsed = Sarif.model_validate(log)
    (run,) = parsed.runs
    results = log["runs"][0]["results"]
    assert {one["ruleId"] for one in results} == {"key-mismatch", "digest-mismatch", "unsigned"}
    assert {rule.id for rule in run.tool.driver.rules} == {one["ruleId"] for one in results}
    messages = [one["message"]["text"] for one in results if one["ruleId"] == "digest-mismatch"]
    assert sorted(messages) == [
        f"'{name}' was {word} since the model was signed."
        for name, word in (("added<i>", "added"), ("changed", "changed"), ("missing", "missing"))
    ]
    places = {one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results}
    assert any(place.endswith("org/drifted/added%3Ci%3E") for place in places)
    assert len({one["partialFingerprints"]["modelseal/v1"] for one in results}) == len(results)


class Page(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_nothing_and_runs_nothing_else(report, tmp_path):
    assert report("--format", "html", "--out", tmp_path / "r.html").exit_code == 1
    html = (tmp_path / "r.html").read_text()
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1  # not that of the model's name
    assert not [tag for tag, attrs in page.tags if {"src", "href", "onclick"} & attrs.keys()]
    assert not [tag for tag, _ in page.tags if tag in {"b", "i", "link", "img", "iframe"}][4:]
    states = [attrs["data-state"] for tag, attrs in page.tags if tag == "tr" and attrs]
    assert states == ["refused", "drifted", "unsigned", "accepted"]  # the worst first
    (policy,) = (a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        text = re.search(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(days=30)


@pytest.mark.parametrize(
    ("verdict", "state"),
    [
        (Verdict("accepted", "m", "accepted", ""), "accepted"),
        (Verdict("accepted", "m", "accepted", "", until=SOON), "expiring"),
        (Verdict("accepted", "m", "accepted", "", until=SOON + timedelta(seconds=1)), "accepted"),
        (Verdict("accepted", "m", "unsigned", "", warned=True), "warned"),
        (Verdict("undecided", "m", "unreadable", ""), "undecided"),
        (Verdict("refused", "m", "unsigned", ""), "unsigned"),
        (Verdict("refused", "m", "key-mismatch", ""), "refused"),
    ],
)
def test_states(verdict, state):
    assert state_of(verdict, SOON) == state


def test_bad_calls(report, tmp_path):
    for more in (("--expires-within", "-1"), ("--format", "pdf")):
        assert report(*more).exit_code == 2
    done = report("--format", "html", "--out", tmp_path / "none" / "r.html")
    assert (done.exit_code, "[cannot-write]" in done.stderr) == (3, True)
    assert invoke("report", tmp_path / "missing", "--key", "x").exit_code == 2
