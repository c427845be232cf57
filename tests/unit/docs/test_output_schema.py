# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema of the documents that commands print, held against what they do print."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import output_schema
import pytest
from in_process import invoke
from jsonschema import Draft202012Validator

from modelseal.cli import COMMANDS, command_parser

VECTORS = Path(__file__).parents[2] / "vectors"


def document(*arguments):
    """Return what a command prints, checked, and that its exit code is the one in it."""
    done = invoke(*arguments, "--format", "json")
    found = json.loads(done.stdout)
    assert output_schema.problem(found) is None
    assert found["exit_code"] == done.exit_code
    return found


@pytest.fixture
def keys(tmp_path):
    assert invoke("key", "generate", tmp_path / "release.key").exit_code == 0
    return tmp_path / "release.key", tmp_path / "release.pub"


@pytest.fixture
def models(tmp_path):
    """Return two folders with tensors, of which one array differs, and one folder of junk."""
    folders = [tmp_path / name for name in ("one", "two", "junk")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        np.savez(folder / "w.npz", same=np.zeros(3), other=np.full(2, number))
        (folder / "bad.gguf").write_text(f"GGUF {number}")
        (folder / f"only-{number}").write_text("x")
    (folders[2] / "model.sig").write_text("<html>")
    return folders


def test_it_is_a_schema():
    Draft202012Validator.check_schema(output_schema.SCHEMA)


def test_every_command_that_prints_json_is_described():
    def printing(parser):
        if "--format" in parser._option_string_actions:
            yield parser.command
        for action in parser._actions:
            for inner in action.choices.values() if isinstance(action.choices, dict) else ():
                yield from printing(inner)

    found = {name for command in COMMANDS for name in printing(command_parser(command))}
    assert output_schema.documented_commands() == found


def test_signing_and_verifying(models, keys, tmp_path):
    one, two, junk = models
    assert len(document("sign", one, two, "--key", keys[0])["signed"]) == 2
    (two / "w.npz").write_bytes(b"other")
    verify = ["--key", keys[1]]
    found = document("verify", one, two, junk, tmp_path / "missing", *verify)
    assert [verdict["verdict"] for verdict in found["verdicts"]] == [
        "accepted", "refused", "refused", "undecided",
    ]  # fmt: skip
    assert [verdict["code"] for verdict in found["verdicts"]][3] == "not-found"
    assert document("verify", one, *verify)["exit_code"] == 0
    (one / "extra").write_text("x")
    assert document("verify", one, "--ignore-unsigned", "extra", *verify)["exit_code"] == 0


def test_digests_and_differences(models):
    one, two, junk = models
    document("digest", one)
    document("digest", one / "w.npz")
    document("digest", one, "--hash-type", "blake3", "--shard-size", "100")
    found = document("diff", one, two)
    assert found["tensors"]["w.npz"]["changed"] == ["other.npy"]
    assert found["tensors"]["bad.gguf"]["code"] == "bad-gguf"
    document("diff", one, one)
    document("diff", one / "w.npz", junk / "w.npz")


def test_bundles(models, keys):
    one, _, junk = models
    document("sign", one, "--key", keys[0])
    document("sign", one, "--key", keys[0], "--add")
    (one / "model.sig.3").write_text("{}")
    assert len(document("inspect", one)["bundles"]) == 3
    document("inspect", junk)
    bundles = [
        p for p in VECTORS.rglob("*") if p.name.endswith((".sig", ".sigstore.json", ".sigstore"))
    ]
    assert len(bundles) > 10
    for bundle in bundles:
        document("inspect", bundle)


def test_errors(models, keys, tmp_path):
    for arguments in (
        ["verify"], ["verify", "--nothing"], ["nothing"], ["verify", tmp_path],
        ["verify", tmp_path / "missing", "--key", keys[1]],
        ["sign", tmp_path / "missing", "--key", keys[0]],
        ["sign", models[0], "--identity-token", "junk"],
        ["inspect", tmp_path / "missing"],
        ["diff", models[0], keys[0]],
        ["trust", "add", "https://x.example"],
    ):  # fmt: skip
        assert document(*arguments)["error"]["hint"]


def test_trust(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert document("trust", "list")["instances"]


POLICY = """
version = 1
default = "deny"
[signers.release]
key = "release.pub"
[[rule]]
models = ["*"]
signers = ["release"]
"""
CASES = """
policy = "policy.toml"
[[case]]
model = "one"
verdict = "accepted"
[[case]]
model = "two"
verdict = "accepted"
"""


def test_policies(models, keys, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    (tmp_path / "cases.toml").write_text(CASES)
    document("sign", models[0], "--key", keys[0])
    document("policy", "check", policy)
    for model in models:
        document("policy", "explain", model, "--policy", policy)
    assert document("policy", "test", tmp_path / "cases.toml")["exit_code"] == 1


def test_it_refuses_what_is_not_as_described(models, keys):
    document("sign", models[0], "--key", keys[0])
    good = document("verify", models[0], "--key", keys[1])
    lenient = output_schema.validator()
    assert lenient.is_valid({**good, "later": "a member of a later release"})
    for member in ("schema", "command", "exit_code", "verdicts"):
        assert not lenient.is_valid({k: v for k, v in good.items() if k != member})
    for member, value in good["verdicts"][0].items():
        bad = copy.deepcopy(good)
        del bad["verdicts"][0][member]
        assert not lenient.is_valid(bad), member
        bad["verdicts"][0][member] = {"schema": 2}.get(
            member, object.__name__ if value is None else [value, None, 3.5]
        )
        assert not lenient.is_valid(bad), member
