# SPDX-License-Identifier: Apache-2.0
"""Verification imports nothing that only signing needs: that would be most of its time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from in_process import invoke
from patience import PATIENCE

VECTORS = Path(__file__).parents[1] / "vectors"
HEAVY = {
    "sigstore", "sigstore_models", "rekor_types", "pydantic", "requests", "urllib3", "tuf",
    "securesystemslib", "rich", "click", "rfc3161_client",
}  # fmt: skip
SCRIPT = """
import sys
from modelseal.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    print(ended.code, *sys.modules)
"""


def modules(*arguments: object, **environment: str) -> tuple[str, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, arguments)],
        capture_output=True, text=True, check=True, timeout=PATIENCE, env=environment,
    )  # fmt: skip
    status, *found = done.stdout.splitlines()[-1].split()
    return status, set(found)


@pytest.mark.parametrize("asked", [(), ("--trusted-root", "ROOT")])
def test_verifying_a_keyless_bundle(asked, tmp_path):
    root = (
        Path(__file__).parents[2] / "src" / "modelseal" / "trust" / "embedded" / "public-good.json"
    )
    trusted = [root if word == "ROOT" else word for word in asked]
    status, found = modules(
        "verify", VECTORS / "model-signing" / "v1.1.0",
        "--identity", "nobody@example.com", "--issuer", "https://issuer.example", *trusted,
        XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path),
    )  # fmt: skip
    assert status == "1"  # authentic, by somebody else
    assert not found & HEAVY


def test_help(tmp_path):
    status, found = modules("--help", HOME=str(tmp_path))
    assert status == "0"
    assert not found & (HEAVY | {"cryptography", "rfc3161_client", "asyncio"})


def test_verifying_by_key(tmp_path):
    model, key = tmp_path / "model.bin", tmp_path / "release.key"
    model.write_bytes(b"weights")
    assert invoke("key", "generate", key).exit_code == 0
    assert invoke("sign", model, "--key", key).exit_code == 0
    status, found = modules(
        "verify", model, "--key", key.with_suffix(".pub"), HOME=str(tmp_path)
    )  # fmt: skip
    assert status == "0"
    assert not found & (
        HEAVY | {"cryptography.x509", "modelseal.trust.trust_root", "datetime", "html"}
    )
