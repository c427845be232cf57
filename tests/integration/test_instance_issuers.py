# SPDX-License-Identifier: Apache-2.0
"""An instance that takes the identity tokens of another issuer: a second instance, over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from github_claims import CLAIMS
from in_process import invoke
from patience import PATIENCE

from modelseal.instance import tokens

GITHUB_KEY = rsa.generate_private_key(65537, 2048)
GITHUB = "https://token.actions.githubusercontent.com"


@pytest.fixture(scope="module")
def relying(tmp_path_factory, start_instance, instance):
    """An instance that believes `instance`, and tokens of GitHub Actions by a file of keys."""
    folder = tmp_path_factory.mktemp("relying")
    (folder / "jwks.json").write_text(json.dumps(tokens.key_set(GITHUB_KEY)))
    (folder / "issuers.toml").write_text(
        f'[[issuer]]\nurl = "{instance.issuer}"\ntype = "email"\n'
        f'[[issuer]]\nurl = "{GITHUB}"\ntype = "github-workflow"\nkeys = "jwks.json"\n'
    )
    with start_instance(folder, "--issuers", folder / "issuers.toml") as started:
        yield started


def sign(path, token, relying):
    path.write_bytes(b"weights")
    return invoke("sign", path, "--identity-token", token, "--trust-config", relying.trust_config)


def verify(path, relying, identity, issuer):
    return invoke(
        "verify", path, "--identity", identity, "--issuer", issuer,
        "--trusted-root", relying.trusted_root,
    )  # fmt: skip


def test_an_identity_of_the_other_issuer_signs(relying, instance, sigstore, tmp_path):
    path = tmp_path / "artifact"
    done = sign(path, instance.token(), relying)
    assert done.exit_code == 0, done.stderr
    assert verify(path, relying, "alice@example.com", instance.issuer).exit_code == 0
    assert verify(path, relying, "alice@example.com", relying.issuer).exit_code == 1
    stock = sigstore(
        "--trust-config", relying.trust_config, "verify", "identity", "--offline",
        "--bundle", f"{path}.sigstore.json", "--cert-identity", "alice@example.com",
        "--cert-oidc-issuer", instance.issuer, path,
    )  # fmt: skip
    assert stock.returncode == 0, stock.stderr


def test_a_workflow_signs_and_its_claims_can_be_required(relying, tmp_path):
    token = jwt.encode(
        CLAIMS | {"iss": GITHUB, "aud": "sigstore", "iat": 1, "exp": 1 << 40},
        GITHUB_KEY, algorithm="RS256", headers={"kid": tokens.key_id(GITHUB_KEY)},
    )  # fmt: skip
    path = tmp_path / "artifact"
    done = sign(path, token, relying)
    assert done.exit_code == 0, done.stderr
    signer = f"https://github.com/{CLAIMS['job_workflow_ref']}"
    done = verify(path, relying, signer, GITHUB)
    assert done.exit_code == 0, done.stderr
    shown = invoke("inspect", path).stdout
    assert "acme/model" in shown
    assert CLAIMS["job_workflow_sha"] in shown


def test_tokens_of_nobody_are_refused(relying, instance, tmp_path):
    token = jwt.encode(
        {"iss": instance.issuer, "aud": "sigstore", "sub": "alice@example.com", "iat": 1,
         "exp": 1 << 40, "email": "alice@example.com", "email_verified": True},
        GITHUB_KEY, algorithm="RS256", headers={"kid": tokens.key_id(GITHUB_KEY)},
    )  # fmt: skip
    done = sign(tmp_path / "artifact", token, relying)
    assert done.exit_code != 0
    assert not (tmp_path / "artifact.sigstore.json").exists()


def test_nobody_signs_in_at_its_own_page(relying, raw_client):
    client = raw_client(relying.url)
    answer = client.ask("/auth?response_type=code")
    assert (answer.status, answer.json["code"]) == (403, "sign-in-closed")
    page = client.ask("/", headers={"Accept": "text/html"}).body.decode()
    assert "without a password" not in page


def test_its_operator_can_still_make_tokens(relying, tmp_path):
    assert sign(tmp_path / "artifact", relying.token(), relying).exit_code == 0


def test_an_upstream_is_enough_beyond_this_machine(tmp_path):
    (tmp_path / "issuers.toml").write_text(f'[[issuer]]\nurl = "{GITHUB}"\ntype = "uri"\n')
    command = [
        str(Path(sys.executable).with_name("modelseal")), "instance", "up",
        "--data", tmp_path / "data", "--public-url", "https://sigstore.corp",
    ]  # fmt: skip
    done = subprocess.run(
        [*command, "--issuers", tmp_path / "issuers.toml"],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "issuers-file" in done.stderr
    (tmp_path / "issuers.toml").write_text(
        f'[[issuer]]\nurl = "{GITHUB}"\ntype = "github-workflow"\n'
    )
    with subprocess.Popen(
        [*command, "--issuers", tmp_path / "issuers.toml"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "https://sigstore.corp\n"
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0
