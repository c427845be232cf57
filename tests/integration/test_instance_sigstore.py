# SPDX-License-Identifier: Apache-2.0
"""Stock sigstore-python against a running instance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

import pytest
from patience import PATIENCE


def verify(sigstore, instance, artifact, *, identity="alice@example.com", trust, options=()):
    return sigstore(
        *trust, "verify", "identity", *options,
        "--cert-identity", identity, "--cert-oidc-issuer", instance.issuer, artifact,
    )  # fmt: skip


@pytest.mark.parametrize("identity", ["alice@example.com", "https://ci.example.com/release#main"])
def test_sign_and_verify(instance, sigstore, artifact, identity):
    trust = ("--trust-config", instance.trust_config)
    signed = sigstore(*trust, "sign", "--identity-token", instance.token(identity), artifact)
    assert signed.returncode == 0, signed.stderr

    online = verify(sigstore, instance, artifact, identity=identity, trust=trust)
    assert online.returncode == 0, online.stderr
    offline = verify(
        sigstore, instance, artifact, identity=identity, trust=trust, options=["--offline"]
    )
    assert offline.returncode == 0, offline.stderr
    other = verify(sigstore, instance, artifact, identity="mallory@example.com", trust=trust)
    assert other.returncode != 0

    artifact.write_bytes(artifact.read_bytes() + b"!")
    assert verify(sigstore, instance, artifact, identity=identity, trust=trust).returncode != 0


def test_attest_and_verify(instance, sigstore, artifact, tmp_path):
    predicate = tmp_path / "predicate.json"
    predicate.write_text(
        json.dumps(
            {
                "buildDefinition": {
                    "buildType": "https://example.com/train/v1",
                    "externalParameters": {},
                },
                "runDetails": {"builder": {"id": "https://example.com/trainer"}},
            }
        )
    )
    trust = ("--trust-config", instance.trust_config)
    attested = sigstore(
        *trust, "attest", "--identity-token", instance.token(), "--predicate", predicate,
        "--predicate-type", "https://slsa.dev/provenance/v1", artifact,
    )  # fmt: skip
    assert attested.returncode == 0, attested.stderr
    verified = verify(sigstore, instance, artifact, trust=trust, options=["--offline"])
    assert verified.returncode == 0, verified.stderr


def test_the_tuf_route(instance, raw_client, sigstore, artifact, tmp_path):
    root = tmp_path / "root.json"
    root.write_bytes(raw_client(instance.url).ask("/root.json").body)
    trust = ("--instance", instance.url)
    trusted = sigstore(*trust, "trust-instance", root)
    assert trusted.returncode == 0, trusted.stderr
    signed = sigstore(*trust, "sign", "--identity-token", instance.token(), artifact)
    assert signed.returncode == 0, signed.stderr
    online = verify(sigstore, instance, artifact, trust=trust)
    assert online.returncode == 0, online.stderr
    offline = verify(sigstore, instance, artifact, trust=trust, options=["--offline"])
    assert offline.returncode == 0, offline.stderr


BROWSER = """
    import re, sys, urllib.parse, urllib.request
    from html import unescape
    with urllib.request.urlopen(sys.argv[1]) as page:
        text, action = page.read().decode(), urllib.parse.urljoin(page.url, "/auth")
    fields = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', text))
    fields = {name: unescape(value) for name, value in fields.items()}
    fields["identity"] = "alice@example.com"
    body = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(action, body) as page:
        print(page.read().decode())
"""


def test_the_browser_flow(instance, sigstore, artifact, tmp_path):
    browser = tmp_path / "browser.py"
    browser.write_text(textwrap.dedent(BROWSER))
    trust = ("--trust-config", instance.trust_config)
    signed = sigstore(
        *trust, "sign", "--oidc-disable-ambient-providers", artifact,
        env={"BROWSER": f"{sys.executable} {browser} %s"},
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    verified = verify(sigstore, instance, artifact, trust=trust)
    assert verified.returncode == 0, verified.stderr


def test_modelseal_signs_in_by_the_browser_too(instance, artifact, tmp_path):
    browser = tmp_path / "browser.py"
    browser.write_text(textwrap.dedent(BROWSER))
    command = ["sign", artifact, "--trust-config", instance.trust_config]
    done = subprocess.run(
        [sys.executable, "-m", "modelseal", *map(str, command)],
        env=os.environ | {"BROWSER": f"{sys.executable} {browser} %s"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "alice@example.com" in done.stdout


def test_another_instance_is_not_trusted(instance, start_instance, sigstore, artifact, tmp_path):
    trust = ("--trust-config", instance.trust_config)
    signed = sigstore(*trust, "sign", "--identity-token", instance.token(), artifact)
    assert signed.returncode == 0, signed.stderr
    with start_instance(tmp_path) as other:
        refused = verify(sigstore, instance, artifact, trust=("--trust-config", other.trust_config))
    assert refused.returncode != 0
