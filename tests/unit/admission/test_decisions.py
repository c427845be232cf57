# SPDX-License-Identifier: Apache-2.0
"""What is written down of a decision, and that nothing is handed out that cannot be."""

from __future__ import annotations

import asyncio
import json
import pickle

import pytest
from exec_site import ExecSite
from in_store import snapshots

import modelseal
from modelseal.admission import chain
from modelseal.admission.admit import admit
from modelseal.admission.decisions import Decision
from modelseal.admission.request import verifier_for
from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError
from modelseal.policy import document
from modelseal.policy.rules import Policy
from modelseal.policy.verdict import Verdict
from modelseal.servers.mlserver import VerifiedModelRepository
from modelseal.servers.mlserver.refusal import Refused
from modelseal.trust.choice import Trust


@pytest.fixture
def site(tmp_path):
    site = ExecSite(tmp_path / "site").prepare()
    site.policy.write_text(site.policy.read_text() + '[log]\npath = "log/decisions.jsonl"\n')
    (site.folder / "log").mkdir()
    return site


@pytest.fixture
def admitted(site):
    def call(model, **more):
        policy = document.load(site.policy)
        return admit(model, policy, verifier_for(policy, Trust()), site.store, **more)

    return call


@pytest.fixture
def entries(site):
    """Give a function that returns the entries, having verified the log."""

    def call():
        log = site.folder / "log" / "decisions.jsonl"
        assert chain.verify([log]).problems == ()
        return [json.loads(line) for line in log.read_bytes().splitlines()]

    return call


def test_what_is_written_down(site, admitted, entries):
    model = site.model("digits")
    for _ in range(2):
        snapshot = admitted(model, server="a server")
    first, second = entries()
    assert (first["verdict"], first["code"], first["rule"]) == ("accepted", "accepted", 1)
    assert (first["model"], first["source"]) == ("digits", str(model))
    assert (first["server"], first["mode"]) == ("a server", "enforce")
    assert (first["stored"], second["stored"]) == ("copied", "found")
    assert first["store_path"] == second["store_path"] == str(snapshot.path)
    assert first["root_digest"] == f"sha256:{snapshot.manifest.root().hex()}"
    assert first["policy_digest"] == document.load(site.policy).digest
    assert first["signers"][0]["identity"] == snapshot.verdict.signer.subject
    assert [check["name"] for check in first["checks"]] == [
        check.name for check in snapshot.verdict.checks
    ]
    assert first["duration"] >= 0
    assert first["time"] <= second["time"]
    assert first["time"].endswith("+00:00")


def test_when_it_was_signed_and_who_says_so(make_site, tmp_path):
    own = make_site(tmp_path)
    policy = own.config / "policy.toml"
    policy.write_text(policy.read_text() + '[log]\npath = "decisions.jsonl"\n')
    rules = document.load(policy)
    admit(own.signed("digits"), rules, verifier_for(rules, Trust()), own.store)
    (entry,) = map(json.loads, (own.config / "decisions.jsonl").read_text().splitlines())
    assert entry["time_source"] == "timestamp"
    assert entry["signed"] <= entry["time"]
    assert isinstance(entry["log_index"], int)
    assert entry["signers"][0]["identity"] == "alice@example.com"


def test_refusals_and_what_could_not_be_decided(site, admitted, entries):
    model = site.model("digits")
    (model / "weights.bin").write_text("other")
    with pytest.raises(PolicyRefused):
        admitted(model)
    (model / "model.sig").unlink()
    with pytest.raises(ModelSealError):
        admitted(model)
    with pytest.raises(UsageError):
        admitted(site.models / "none")
    found = [(one["verdict"], one["code"], one["store_path"]) for one in entries()]
    assert found == [
        ("refused", "digest-mismatch", None), ("refused", "unsigned", None),
        ("undecided", "not-found", None),
    ]  # fmt: skip
    assert entries()[0]["signers"]


def test_a_refusal_that_is_only_a_warning(site, admitted, entries):
    site.policy.write_text(
        site.policy.read_text().replace("[[rule]]\n", '[[rule]]\nmode = "warn"\n')
    )
    model = site.model("digits")
    (model / "weights.bin").write_text("other")
    admitted(model)
    (entry,) = entries()
    assert (entry["verdict"], entry["warned"], entry["code"], entry["mode"]) == (
        "accepted", True, "digest-mismatch", "warn",
    )  # fmt: skip
    assert entry["store_path"]


@pytest.mark.parametrize("good", [True, False])
def test_nothing_is_handed_out_that_is_not_written_down(site, admitted, good):
    model = site.model("digits")
    if not good:
        (model / "weights.bin").write_text("other")
    (site.folder / "log").rmdir()
    with pytest.raises(Undecided) as refused:
        admitted(model)
    assert refused.value.code == "log-unwritable"
    assert len(snapshots(site.store)) == good


def test_hostile_names_stay_in_their_line(site, admitted, entries):
    name = "evil\n" + '{"number":1}' + "\u202e" + "x" * 200
    model = site.model("digits").rename(site.models / name)
    (model / "weights.bin").write_text("other")
    with pytest.raises(PolicyRefused):
        admitted(model)
    (entry,) = entries()
    assert "\n" not in entry["model"]
    assert len(json.dumps(entry)) < 4000


def test_passwords_are_not_written_down(site, entries):
    policy = document.load(site.policy)
    source = "https://user:secret@models.example/digits"
    Decision(policy, source, "fetch").record(Verdict("accepted", "digits", "accepted", "Yes."))
    (entry,) = entries()
    assert entry["source"] == "https://models.example/digits"


def test_programs_write_down_too(site, entries):
    with modelseal.load(site.model("digits"), policy=site.policy):
        pass
    assert [one["server"] for one in entries()] == ["python"]


def allow_a_runtime(site):
    site.policy.write_text(site.policy.read_text() + '[mlserver]\nruntimes = ["any.Runtime"]\n')


def test_settings_that_a_server_refuses(site, entries, monkeypatch):
    allow_a_runtime(site)
    (site.folder / "config").mkdir()
    monkeypatch.chdir(site.folder / "config")
    site.model("digits", model_settings_json="{}")
    (site.models / "digits" / "model-settings.json").write_text('{"name": "digits"}')
    site.sign(site.models / "digits")
    served = VerifiedModelRepository(
        str(site.folder / "config"), models="../models", policy="../policy.toml", store="../store"
    )
    with pytest.raises(Refused):
        asyncio.run(served.find("digits"))
    assert [one["code"] for one in entries()] == ["accepted", "runtime-not-allowed"]


def test_no_server_starts_without_its_log(site, monkeypatch):
    allow_a_runtime(site)
    (site.folder / "config").mkdir()
    monkeypatch.chdir(site.folder / "config")
    (site.folder / "log").rmdir()
    with pytest.raises(SystemExit, match=r"\[log-unwritable\]"):
        VerifiedModelRepository(
            str(site.folder / "config"), models="../models", policy="../policy.toml",
            store="../store",
        )  # fmt: skip


def test_a_policy_knows_what_it_was_read_from(site):
    policy = document.load(site.policy)
    assert policy.digest.startswith("sha256:")
    other = Policy(signers=(), rules=(), digest="sha256:00")
    assert pickle.loads(pickle.dumps(other)).digest == "sha256:00"
    again = document.parse(site.policy.read_text(), site.folder)
    assert (again, again.digest) == (policy, "")
