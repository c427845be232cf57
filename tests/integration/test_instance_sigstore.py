# SPDX-License-Identifier: Apache-2.0
"""Stock sigstore-python against a running instance."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.fixture
def sigstore(tmp_path):
    """Run the stock client with a home folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "SIGSTORE_"))}
    environment |= {"HOME": str(home)}

    def run(*arguments, **options):
        return subprocess.run(
            [sys.executable, "-m", "sigstore", *map(str, arguments)],
            cwd=tmp_path, env=environment | options.pop("env", {}), capture_output=True,
            text=True, timeout=120, check=False, **options,
        )  # fmt: skip

    return run


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "artifact.bin"
    path.write_bytes(os.urandom(64))
    return path


@pytest.mark.parametrize("offline", [[], ["--offline"]])
@pytest.mark.parametrize("identity", ["alice@example.com", "https://ci.example.com/release#main"])
def test_sign_and_verify(instance, sigstore, artifact, identity, offline):
    trust = ("--trust-config", instance.trust_config)
    signed = sigstore(*trust, "sign", "--identity-token", instance.token(identity), artifact)
    assert signed.returncode == 0, signed.stderr

    verified = sigstore(
        *trust, "verify", "identity", *offline,
        "--cert-identity", identity, "--cert-oidc-issuer", instance.issuer, artifact,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr

    other = sigstore(
        *trust, "verify", "identity", *offline,
        "--cert-identity", "mallory@example.com", "--cert-oidc-issuer", instance.issuer, artifact,
    )  # fmt: skip
    assert other.returncode != 0
