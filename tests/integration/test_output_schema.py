# SPDX-License-Identifier: Apache-2.0
"""The documents of keyless signing, verifying, inspecting and trusting are as described."""

from __future__ import annotations

import json
import urllib.request

import output_schema
from in_process import invoke


def document(*arguments):
    done = invoke(*arguments, "--format", "json")
    found = json.loads(done.stdout)
    assert output_schema.problem(found) is None
    assert found["exit_code"] == done.exit_code
    return found


def test_keyless(instance, tmp_path):
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    sign = ["sign", model, "--trust-config", instance.trust_config]
    (signed,) = document(*sign, "--identity-token", instance.token())["signed"]
    verify = ["verify", model, "--trusted-root", instance.trusted_root]
    verify += ["--identity", "alice@example.com", "--issuer"]
    (verdict,) = document(*verify, instance.issuer)["verdicts"]
    assert verdict["time"] == signed["time"] is not None
    assert document(*verify, "https://other.example")["exit_code"] == 1
    document("inspect", model)


def test_trust(instance, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with urllib.request.urlopen(f"{instance.url}/root.json") as answer:
        (tmp_path / "root.json").write_bytes(answer.read())
    document("trust", "add", instance.url, tmp_path / "root.json")
    document("trust", "list")
    document("trust", "remove", instance.url)
