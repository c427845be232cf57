# SPDX-License-Identifier: Apache-2.0
"""`modelseal store`, `modelseal log` and `modelseal evidence`."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import output_schema
import pytest
from exec_site import MODELSEAL, ExecSite
from in_process import invoke
from in_store import snapshots

from modelseal.admission import leases
from modelseal.admission.admit import admit
from modelseal.admission.request import verifier_for
from modelseal.policy import document
from modelseal.trust.choice import Trust


@pytest.fixture
def site(tmp_path):
    site = ExecSite(tmp_path / "site").prepare()
    site.policy.write_text(site.policy.read_text() + '[log]\npath = "decisions.jsonl"\n')
    return site


@pytest.fixture
def admitted(site):
    """Give a function that admits a new model and returns its digest."""

    def call(name, content="the weights", *, days_ago=0):
        policy = document.load(site.policy)
        model = site.model(name, weights_bin=content)
        snapshot = admit(model, policy, verifier_for(policy, Trust()), site.store)
        snapshot.lease.close()
        used = time.time() - 86_400 * days_ago
        os.utime(site.store / ".snapshots" / f"{snapshot.path.name}.json", (used, used))
        return snapshot.path.name

    return call


def call(site, *words):
    return invoke("store", *words, "--store", site.store)


def as_json(*words):
    done = invoke(*words, "--format", "json")
    found = json.loads(done.stdout)
    assert output_schema.problem(found) is None
    assert found["exit_code"] == done.exit_code
    return found


def test_list(site, admitted):
    one, two = admitted("llm", days_ago=3), admitted("digits", "other")
    done = call(site, "list")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [one[:12], two[:12]]
    assert lines[0].endswith("llm")
    assert "2 copies" in done.stderr
    lease = leases.take(site.store, two)
    found = as_json("store", "list", "--store", site.store)["snapshots"]
    assert [(o["digest"], o["model"], o["in_use"]) for o in found] == [
        (one, "llm", False), (two, "digits", True),
    ]  # fmt: skip
    lease.close()


def test_verify(site, admitted):
    one, two = admitted("llm"), admitted("digits", "other")
    assert call(site, "verify").exit_code == 0
    weights = site.store / one / "weights.bin"
    weights.chmod(0o600)
    weights.write_text("altered")
    done = call(site, "verify")
    assert done.exit_code == 1
    assert f"ALTERED {one[:12]} llm: The files are not the ones" in done.stdout
    assert f"OK {two[:12]} digits" in done.stdout
    assert call(site, "verify", two[:10]).exit_code == 0
    found = as_json("store", "verify", "--store", site.store)
    assert sorted(o["state"] for o in found["snapshots"]) == ["altered", "unchanged"]


def test_gc(site, admitted):
    old, new = admitted("llm", days_ago=40), admitted("digits", "other")
    assert snapshots(site.store) == {old, new}
    done = call(site, "gc")
    assert done.stdout.startswith(f"REMOVED {old[:12]} llm")
    assert snapshots(site.store) == {new}
    assert call(site, "gc", "--max-size", "1GB").stdout == ""
    lease = leases.take(site.store, new)
    assert call(site, "gc", "--keep-days", "0", "--max-size", "1B").stdout == ""
    lease.close()
    found = as_json("store", "gc", "--max-size", "1B", "--store", site.store)
    assert [one["digest"] for one in found["snapshots"]] == [new]
    assert snapshots(site.store) == set()


def test_remove(site, admitted):
    one = admitted("llm")
    lease = leases.take(site.store, one)
    done = call(site, "remove", one[:8])
    assert (done.exit_code, "[snapshot-in-use]" in done.stderr) == (3, True)
    lease.close()
    found = as_json("store", "remove", one[:8], "--store", site.store)
    assert [o["model"] for o in found["snapshots"]] == ["llm"]
    assert call(site, "remove", one[:8]).exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["gc", "--max-size", "lots"], "bad-size"), (["gc", "--max-size=-1GB"], "bad-size"),
        (["gc", "--max-size", "1e9B"], "bad-size"), (["gc", "--keep-days=-1"], "bad-usage"),
        (["remove", "../../etc"], "no-such-snapshot"), (["verify", "*" * 9], "no-such-snapshot"),
    ],
)  # fmt: skip
def test_wrong_calls(site, admitted, words, code):
    admitted("llm")
    done = call(site, *words)
    assert (done.exit_code, f"[{code}]" in done.stderr) == (2, True), done.stderr


def test_hostile_names_of_models(site, admitted):
    admitted("a\nREMOVED everything\x1b[31m")
    for words in (["list"], ["verify"], ["gc", "--max-size", "1B"]):
        done = call(site, *words)
        assert "\x1b" not in done.stdout
        assert len(done.stdout.splitlines()) == 1


def test_log(site, admitted):
    log = site.folder / "decisions.jsonl"
    admitted("llm")
    admitted("digits", "other")
    done = invoke("log", "verify", log)
    assert (done.exit_code, done.stdout[:12]) == (0, "OK 2 entries")
    noted = re.search(r"sha256:[0-9a-f]{64}", done.stderr)[0]
    assert invoke("log", "verify", log, "--entry", noted).exit_code == 0
    log.write_text("".join(log.read_text().splitlines(keepends=True)[1:]))
    done = invoke("log", "verify", log)
    assert done.exit_code == 1
    assert done.stdout == f"FAIL {log}:1: Entries are missing before this line: 1.\n"
    found = as_json("log", "verify", log)
    assert found["log"]["problems"][0]["line"] == 1
    assert invoke("log", "verify", site.folder / "none").exit_code == 2


def evidence_of(site, model, *words):
    out = site.folder / "evidence"
    found = as_json("evidence", model, "--policy", site.policy, "--out", out, *words)
    assert set(found["files"]) == {
        path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()
    }
    return out, found


def commands_in(readme):
    return re.findall(r"```sh\n(.*?)```", readme.read_text(), re.DOTALL)


def test_evidence_of_a_model_signed_with_a_key(site, admitted):
    admitted("llm")
    model = site.models / "llm"
    out, found = evidence_of(site, model)
    assert (found["exit_code"], found["decisions"]) == (0, 1)
    (line,) = (out / "decisions.jsonl").read_text().splitlines()
    digest = sha256((out / "policy.toml").read_bytes()).hexdigest()
    assert json.loads(line)["policy_digest"] == f"sha256:{digest}"
    root = json.loads((out / "manifest.json").read_text())["root_digest"]
    assert json.loads(line)["root_digest"] == root
    assert json.loads((out / "log.json").read_text())["whole"]
    path = f"{MODELSEAL.parent}:{os.environ['PATH']}"
    typed = [one for one in commands_in(out / "README.md") if "cosign" not in one]
    assert len(typed) == 4
    for command in typed:
        filled = (
            command.replace("MODEL", shlex.quote(str(model)))
            .replace("HERE", shlex.quote(str(out)))
            .replace("FILE", shlex.quote(str(site.folder / "decisions.jsonl")))
        )
        done = subprocess.run(
            ["bash", "-c", filled], cwd=out, env=os.environ | {"PATH": path}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr + done.stdout
    (model / "weights.bin").write_text("altered")
    for command in (typed[1], typed[2]):
        filled = command.replace("MODEL", shlex.quote(str(model))).replace(
            "HERE", shlex.quote(str(out))
        )
        done = subprocess.run(
            ["bash", "-c", filled], cwd=out, env=os.environ | {"PATH": path}, capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1


def test_evidence_of_a_refused_model(site, admitted):
    admitted("llm")
    (site.models / "llm" / "weights.bin").write_text("altered")
    out, found = evidence_of(site, site.models / "llm")
    assert (found["exit_code"], found["verdict"]["code"]) == (1, "digest-mismatch")
    assert json.loads((out / "verdict.json").read_text())["verdict"] == "refused"
    done = invoke("evidence", site.models / "llm", "--policy", site.policy, "--out", out)
    assert (done.exit_code, "[already-exists]" in done.stderr) == (2, True)


def test_evidence_of_an_unsigned_model(site):
    (site.models / "bare").mkdir()
    (site.models / "bare" / "x").touch()
    out, found = evidence_of(site, site.models / "bare")
    assert (found["exit_code"], found["verdict"]["code"]) == (1, "unsigned")
    assert not (out / "bundles").exists()


def test_names_in_the_readme_are_quoted(site):
    name = "x'; touch pwned; echo '.oms.sig"
    model = site.model("llm")
    (model / "model.sig").rename(model / name)
    out, _ = evidence_of(site, model)
    for command in commands_in(out / "README.md"):
        words = shlex.split(command)
        assert "touch" not in words
    assert any(shlex.quote(f"bundles/{name}") in one for one in commands_in(out / "README.md"))


def test_evidence_holds_for_stock_sigstore(make_site, tmp_path):
    own = make_site(tmp_path)
    model = own.signed("digits")
    out = tmp_path / "evidence"
    found = as_json("evidence", model, "--policy", own.config / "policy.toml", "--out", out)
    assert found["exit_code"] == 0
    (script,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    for bundle, good in (("as it is", True), ("altered", False)):
        if not good:
            path = out / "bundles" / "model.sig"
            value = json.loads(path.read_text())
            value["dsseEnvelope"]["payload"] = "AAAA" + value["dsseEnvelope"]["payload"]
            path.write_text(json.dumps(value))
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=out, capture_output=True, text=True, check=False,
            env=os.environ | {"HOME": str(tmp_path)},
        )  # fmt: skip
        assert (done.returncode == 0) == good, bundle + done.stderr
        if good:
            assert json.loads(done.stdout)["predicateType"].startswith("https://model_signing/")
            assert "model.joblib" in done.stdout


def test_a_single_file(site, tmp_path):
    weights = Path(tmp_path / "weights.bin")
    weights.write_text("weights")
    site.sign(weights)
    out, found = evidence_of(site, weights)
    assert found["exit_code"] == 0
    assert (out / "bundles" / "weights.bin.sigstore.json").exists()
