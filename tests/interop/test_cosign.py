# SPDX-License-Identifier: Apache-2.0
"""cosign with nothing but the TUF repository of the instance, and with other kinds of keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from patience import PATIENCE

import modelseal

from .conftest import PEERS, run

MODELSEAL = Path(sys.executable).with_name("modelseal")

pytestmark = pytest.mark.interop


@pytest.fixture
def cosign(lab, tmp_path):
    """Return a cosign with a home of its own, so that one test's trust is not another's."""
    return type(lab.clients["cosign"])(lab.instance, tmp_path)


def test_after_initialize_cosign_needs_no_files(cosign, instance, lab, tmp_path):
    root = tmp_path / "root.json"
    with urlopen(f"{instance.url}/root.json", timeout=PATIENCE) as answer:
        root.write_bytes(answer.read())
    done = cosign.run("initialize", "--mirror", instance.url, "--root", root)
    assert done.returncode == 0, done.stderr

    bundle = tmp_path / "bundle.json"
    done = cosign.run(
        "sign-blob",
        "--yes",
        "--identity-token",
        cosign.token(),
        "--bundle",
        bundle,
        lab.models.file,
    )
    assert done.returncode == 0, done.stderr

    def verified_by(identity):
        return cosign.run(
            "verify-blob", "--bundle", bundle, "--certificate-identity", identity,
            "--certificate-oidc-issuer", instance.issuer, lab.models.file,
        ).returncode == 0  # fmt: skip

    assert verified_by("alice@example.com")
    assert not verified_by("mallory@example.com")


ALGORITHMS = [
    "ecdsa-sha2-256-nistp256", "ecdsa-sha2-384-nistp384", "ecdsa-sha2-512-nistp521",
    "rsa-sign-pkcs1-2048-sha256", "rsa-sign-pkcs1-3072-sha256", "rsa-sign-pkcs1-4096-sha256",
]  # fmt: skip


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_of_cosign(algorithm, cosign, lab, tmp_path):
    bundle = tmp_path / "bundle.json"
    done = cosign.sign("artifact", lab.models, bundle, "--signing-algorithm", algorithm)
    assert done.returncode == 0, done.stderr
    for peer in ("cosign", "sigstore-go", "sigstore-js", "modelseal"):
        done = lab.verified(peer, "artifact", bundle)
        assert done.returncode == 0, done.stderr + done.stdout
    changed = tmp_path / "changed" / lab.models.file.name
    changed.parent.mkdir()
    changed.write_text("other weights")
    verdict = modelseal.verify(
        changed, bundle=bundle, trust=lab.instance.trusted_root,
        identity="alice@example.com", issuer=lab.instance.issuer,
    )  # fmt: skip
    assert verdict.code == "digest-mismatch"


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_a_key_that_cosign_signs_with(curve, cosign, instance, lab, tmp_path):
    private, public, bundle = (tmp_path / name for name in ("key.pem", "key.pub", "bundle.json"))
    kind = f"ec_paramgen_curve:{curve}"
    for command in (
        ("genpkey", "-algorithm", "EC", "-pkeyopt", kind, "-out", private),
        ("pkey", "-in", private, "-pubout", "-out", public),
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    prefix = tmp_path / "cosign"
    environment = {"COSIGN_PASSWORD": "", "HOME": tmp_path, "TUF_ROOT": tmp_path / "tuf"}
    for command in (
        ("import-key-pair", "--key", private, "--output-key-prefix", prefix),
        ("sign-blob", "--yes", "--key", f"{prefix}.key", "--bundle", bundle, lab.models.file,
         "--signing-config", instance.signing_config, "--trusted-root", instance.trusted_root),
    ):  # fmt: skip
        done = run(PEERS.COSIGN, *command, **environment)
        assert done.returncode == 0, done.stderr
    for trust in ((), ("--trusted-root", instance.trusted_root)):
        done = run(
            MODELSEAL, "verify", lab.models.file, "--bundle", bundle, "--key", public, *trust
        )
        assert done.returncode == 0, done.stdout + done.stderr
