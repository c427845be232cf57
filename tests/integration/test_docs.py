# SPDX-License-Identifier: Apache-2.0
"""What docs/ tells people to write and type, written and typed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import joblib
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from mlserver import settings
from patience import PATIENCE
from private_ca import Kind, chain, leaf

from modelseal.policy import document
from modelseal.policy.remarks import remarks
from modelseal.servers import landlock
from modelseal.servers.mlserver import VerifiedModelRepository
from modelseal.trust import private_keys

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = fenced.findall((DOCS / page).read_text())
    assert found
    return found


@pytest.fixture
def environment():
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def test_python_page(tmp_path, instance, environment):
    (tmp_path / "models" / "digits").mkdir(parents=True)
    joblib.dump([1, 2, 3], tmp_path / "models" / "digits" / "model.joblib")
    (tmp_path / "sigstore.url").write_text(instance.issuer + "\n")
    (tmp_path / "trust.json").write_bytes(instance.trust_config.read_bytes())

    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks("python.md", "python"))],
        cwd=tmp_path, env=environment | {"MODELSEAL_IDENTITY_TOKEN": instance.token()},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1, 2, 3]" in done.stdout
    assert "digest-mismatch added: 'extra.py'" in done.stdout
    assert "model.joblib True" in done.stdout


def test_instance_page(tmp_path, environment):
    script = "set -euo pipefail\n" + "\n".join(blocks("instance.md", "sh")) + "wait || true\n"
    log = tmp_path.with_suffix(".log")
    with log.open("w") as said:
        typed = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL,
            stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = typed.wait(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(typed.pid, signal.SIGTERM)

    assert code == 0, log.read_text()
    assert "OK artifact: signed by alice@example.com" in log.read_text()
    assert "OK: artifact" in log.read_text()


def test_diff_page(tmp_path, environment):
    typed = blocks("diff.md", "sh")
    first, rest = (
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment,
            capture_output=True, text=True, timeout=PATIENCE, check=True,
        )
        for script in typed
    )  # fmt: skip

    assert [first.stdout] == blocks("diff.md", "text")
    assert "changed  8.59 kB -> 8.87 kB  weights.npz" in rest.stdout
    assert rest.stdout.endswith("exit code 1\nno difference\n")
    assert "believed unchecked" in rest.stderr


def test_model_folders_page(tmp_path, environment):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"weights")
    (script,) = blocks("model-folders.md", "sh")
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert typed.returncode == 0, typed.stderr
    assert "Every signed file is intact" in typed.stdout
    assert typed.stdout.splitlines()[-1].startswith("OK model")
    assert "'.DS_Store'" in typed.stderr


def test_policy_page(tmp_path, environment):
    script = "\n".join(blocks("policy.md", "sh"))
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert 'ignore_unsigned = [".DS_Store"]' in typed.stdout
    assert "exit code 1" in typed.stdout
    assert typed.stdout.count("OK digits: signed by sha256:") == 2
    assert typed.stderr.count("2 cases, 0 not as expected") == 1


def test_servers_page(tmp_path, environment):
    (tmp_path / "models" / "digits").mkdir(parents=True)
    (tmp_path / "models" / "digits" / "weights.bin").write_bytes(b"weights")
    first, *others = blocks("servers.md", "sh")
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", first], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert typed.returncode == 0 or landlock.abi() < landlock.NETWORK_ABI, typed.stderr
    assert typed.stdout.endswith("\nweights.bin\n") or "[cannot-confine]" in typed.stderr
    assert len(others) == 6  # run by tests/servers


def test_reports_page(tmp_path, environment):
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", REPORTED + "\n".join(blocks("reports.md", "sh"))],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip

    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert "exit code 1" in typed.stdout
    assert "unsigned  models/other: [unsigned]" in typed.stdout
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert json.loads((tmp_path / "report.sarif").read_text())["version"] == "2.1.0"


REPORTED = """
mkdir -p models/digits models/other
echo '{}' | tee models/digits/config.json > models/other/config.json
modelseal key generate release.key --quiet
modelseal sign models/digits --key release.key --quiet
modelseal policy init --from models/digits --key release.pub --out policy.toml --quiet
sed -i 's/^models = .*/models = ["*"]/' policy.toml
"""


def test_every_policy_of_the_policy_page_is_one(tmp_path):
    _, ca = chain(Kind("root"), leaf())
    (tmp_path / "vendor-ca.pem").write_bytes(ca.certificate.public_bytes(Encoding.PEM))
    for name in ("vault", "release"):
        private_keys.generate(tmp_path / f"{name}.key", "p256")
    policies = [document.parse(text, tmp_path) for text in blocks("policy.md", "toml")]
    assert len(policies) == 8
    for policy in policies:
        meant = ("trusted_root", "'nvidia-skills' is everybody whom the CA certifies")
        others = [one for one in remarks(policy) if not any(text in one for text in meant)]
        assert others == []


def test_the_policies_of_the_mlserver_page_are_some(tmp_path):
    whole, *tables = blocks("mlserver.md", "toml")

    policy = document.parse(whole, tmp_path)

    assert len(policy.rules) == 2
    assert policy.trust_root == tmp_path / "trusted_root.json"
    before = whole.partition("[mlserver]")[0]
    code, loaded = (document.parse(before + table, tmp_path).mlserver for table in tables)
    assert code.allows_code_of("ranking-1")
    assert (loaded.on_revoked, loaded.on_refused_reload) == ("unload", "keep")


def test_the_commands_of_the_mlserver_page(site, server, environment):
    site.signed("of-the-page")
    (script,) = blocks("mlserver.md", "sh")
    typed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("http://127.0.0.1:8080", server.url)],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip

    assert typed.returncode == 0, typed.stderr
    (row,) = (line for line in typed.stdout.splitlines() if line.startswith("of-the-page "))
    assert row.split() == ["of-the-page", "UNAVAILABLE", "accepted"]
    assert '"command": "server status"' in typed.stdout


def test_the_json_of_the_mlserver_page_is_what_mlserver_takes():
    configuration, digits, index, wrapped = map(json.loads, blocks("mlserver.md", "json"))

    made = settings.Settings(**configuration)
    assert made.model_repository_implementation is VerifiedModelRepository
    assert made.model_repository_implementation_args.keys() == {"models", "policy", "store"}
    for values in (digits, wrapped):
        assert settings.ModelSettings(**values).name == "digits"
    assert {entry["name"] for entry in index} == {"digits", "tampered"}
