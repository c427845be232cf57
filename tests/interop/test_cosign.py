# SPDX-License-Identifier: Apache-2.0
"""cosign with nothing but the TUF repository of the instance, and with other kinds of keys."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

pytestmark = pytest.mark.interop


@pytest.fixture
def cosign(lab, tmp_path):
    """Return a cosign with a home of its own, so that one test's trust is not another's."""
    return type(lab.clients["cosign"])(lab.instance, tmp_path)


def test_after_initialize_cosign_needs_no_files(cosign, instance, lab, tmp_path):
    root = tmp_path / "root.json"
    with urlopen(f"{instance.url}/root.json", timeout=30) as answer:
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


# We verify a SHA-256 signed with an elliptic curve key: what clients do unless told otherwise.
@pytest.mark.parametrize(
    ("algorithm", "code"),
    [
        ("ecdsa-sha2-384-nistp384", "unsupported-digest"),
        ("ecdsa-sha2-512-nistp521", "unsupported-digest"),
        ("rsa-sign-pkcs1-2048-sha256", "accepted"),
    ],
)
def test_other_keys_are_logged_and_other_digests_refused(algorithm, code, cosign, lab, tmp_path):
    bundle = tmp_path / "bundle.json"
    done = cosign.sign("artifact", lab.models, bundle, "--signing-algorithm", algorithm)
    assert done.returncode == 0, done.stderr
    for peer in ("cosign", "sigstore-go", "sigstore-js"):
        done = lab.verified(peer, "artifact", bundle)
        assert done.returncode == 0, done.stderr
    assert lab.verified("modelseal", "artifact", bundle).stdout.startswith(code)
