# SPDX-License-Identifier: Apache-2.0
"""What others signed years ago, on the public and the staging instance, verifies for ever."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest

from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.seal.trust import TrustRoot
from modelseal.seal.verify import keyless

VECTORS = Path(__file__).parents[3] / "vectors"
ARTIFACT = VECTORS / "sigstore-python" / "bundle.txt"


def root(name: str) -> TrustRoot:
    file = importlib.resources.files("modelseal.roots") / f"{name}.json"
    return TrustRoot(file.read_bytes(), name)


def verify(path: str, instance: str, artifact: bytes | None = None):
    bundle = bundle_format.parse((VECTORS / path).read_bytes())
    return keyless.verify(bundle, root(instance), artifact)


@pytest.mark.parametrize("version", ["v0.3.1", "v1.1.0"])
def test_statements_of_model_signing(version):
    assert verify(f"model-signing/{version}/model.sig", "public-good").times
    with pytest.raises(ModelSealError) as refused:
        verify(f"model-signing/{version}/model.sig", "staging")
    assert refused.value.code == "untrusted-certificate"


def test_an_artifact_of_version_0_1_with_a_p384_key_and_sha256():
    assert verify("sigstore-python/v0.1.sigstore", "staging", ARTIFACT.read_bytes()).times
    with pytest.raises(ModelSealError) as refused:
        verify("sigstore-python/v0.1.sigstore", "staging", b"other")
    assert refused.value.code == "signature-invalid"


def test_version_0_2_needs_a_checkpoint():
    with pytest.raises(ModelSealError) as refused:
        verify("sigstore-python/v0.2-without-checkpoint.sigstore", "staging", ARTIFACT.read_bytes())
    assert refused.value.code == "not-logged"


@pytest.mark.parametrize(
    ("name", "host"),
    [("public-good", "tuf-repo-cdn.sigstore.dev"), ("staging", "tuf-repo-cdn.sigstage.dev")],
)
def test_embedded_roots_are_those_of_sigstore_python(name, host):
    store = importlib.resources.files("sigstore._store")
    theirs = (store / f"https%3A%2F%2F{host}" / "trusted_root.json").read_bytes()
    assert root(name).json == theirs
