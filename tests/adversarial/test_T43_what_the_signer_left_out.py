# SPDX-License-Identifier: Apache-2.0
"""Files that the signer left out: the policy decides, and they never reach the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from in_process import invoke

from modelseal.servers.mlserver import VerifiedModelRepository
from modelseal.servers.mlserver.refusal import Refused


@pytest.fixture
def own(make_site, tmp_path, monkeypatch):
    site = make_site(tmp_path)
    monkeypatch.chdir(site.config)
    return site


@pytest.fixture
def model(own):
    """Return a signed model whose signer left out the folder `logs` and the file `notes.md`."""
    folder = own.write("digits")
    (folder / "logs").mkdir()
    (folder / "logs" / "day-1").write_text("not signed")
    (folder / "notes.md").write_text("not signed")
    left_out = ("--ignore-path", folder / "logs", "--ignore-path", folder / "notes.md")
    trust = ("--trust-config", own.instance.trust_config, "--identity-token", own.instance.token())
    done = invoke("sign", folder, *left_out, *trust)
    assert done.exit_code == 0, done.stderr
    return folder


def find(own, allow_ignored=None):
    """Return the folder that the server would load, by a policy with this `allow_ignored`."""
    rule = "" if allow_ignored is None else f"allow_ignored = {list(allow_ignored)}\n"
    text = own.policy_text().replace("[mlserver]", f"{rule}[mlserver]")
    (own.config / "policy.toml").write_text(text)
    served = VerifiedModelRepository(str(own.config), "../models", "policy.toml", "../store")
    (settings,) = asyncio.run(served.find("digits"))
    return Path(settings.parameters.uri).parent


def verify(own, folder):
    return invoke(
        "verify", folder, "--identity", "alice@example.com", "--issuer", own.instance.issuer,
        "--trusted-root", own.instance.trusted_root,
    )  # fmt: skip


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("allowed", [None, ["logs"], ["notes.md"], ["LOGS", "notes.md"]])
def test_nothing_may_be_left_out_that_the_rule_does_not_allow(own, model, allowed):
    with pytest.raises(Refused, match=r"\[ignored-not-allowed\]"):
        find(own, allowed)
    assert files_in(own.store) <= {".lock"}


@pytest.mark.parametrize("allowed", [["logs", "notes.md"], ["*"]])
def test_what_may_be_left_out_is_not_copied_whatever_is_in_it(own, model, allowed):
    (model / "logs" / "day-1").write_text(own.module())
    (model / "logs" / "code.py").write_text(own.module())
    (model / "notes.md").unlink()
    copy = find(own, allowed)
    assert copy.is_relative_to(own.store)
    assert files_in(copy) == {"model.joblib", "model-settings.json"}
    assert verify(own, model).exit_code == 0
    (model / "logs" / "day-1").unlink()
    assert find(own, allowed) == copy, "a stored snapshot is judged by the same rule"


@pytest.mark.parametrize("name", ["more.py", "logs.py", "sub/logs/x", "model.joblib"])
def test_what_was_not_left_out_still_counts(own, model, name):
    path = model / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    with pytest.raises(Refused, match=r"\[digest-mismatch\]"):
        find(own, ["*"])
    assert verify(own, model).exit_code == 1
