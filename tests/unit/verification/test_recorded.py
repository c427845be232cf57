# SPDX-License-Identifier: Apache-2.0
"""What others signed years ago, on the public and the staging instance, verifies for ever."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

import pytest
from verifying import proved, proved_by_key

from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.trust import fulcio, signature
from modelseal.trust.signature import Prehashed
from modelseal.trust.trust_root import TrustRoot
from modelseal.verification import subject

VECTORS = Path(__file__).parents[2] / "vectors"
ARTIFACT = VECTORS / "sigstore-python" / "bundle.txt"


def root(name: str) -> TrustRoot:
    file = importlib.resources.files("modelseal.trust.embedded") / f"{name}.json"
    return TrustRoot(file.read_bytes(), name)


def verify(path: str, instance: str, artifact: bytes | None = None):
    bundle = bundle_format.parse((VECTORS / path).read_bytes())
    return proved(bundle, root(instance), artifact)


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


# -- of sigstore-go -------------------------------------------------------------------------------

GO = VECTORS / "sigstore-go"
NPM = Prehashed("sha512", bytes.fromhex(
    "46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1"
    "e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"
))  # fmt: skip
OTHER_NAME = "bc103b4a84971ef6459b294a2b98568a2bfb72cded09d4acd1e16366a401f95b"
BY_KEY = "6ae8a75555209fd6c44157c0aed8016e763ff435a19cf186f76863140143ff72"


def of_go(name: str) -> bundle_format.Bundle:
    return bundle_format.parse((GO / f"{name}.sigstore.json").read_bytes())


def root_of_go(name: str) -> TrustRoot:
    return TrustRoot((GO / f"{name}.trusted_root.json").read_bytes(), name)


def test_an_npm_package_of_2023():
    bundle = of_go("npm-provenance-v0.1")
    (time,) = proved(bundle, root("public-good"), NPM).times
    assert f"{time:%Y-%m}" == "2023-08"
    subject.check_subject(bundle.content, NPM)
    with pytest.raises(ModelSealError) as refused:
        subject.check_subject(bundle.content, Prehashed("sha512", bytes(64)))
    assert refused.value.code == "subject-mismatch"


def test_a_certificate_for_an_other_name_by_an_rsa_ca():
    bundle, trust = of_go("othername"), root_of_go("scaffolding")
    assert proved(bundle, trust, Prehashed("sha256", bytes.fromhex(OTHER_NAME))).times
    assert fulcio.of_certificate(bundle.certificates[0]).subject == "foo!oidc.local"
    with pytest.raises(ModelSealError) as refused:
        proved(bundle, trust, Prehashed("sha256", bytes(32)))
    assert refused.value.code == "signature-invalid"


def test_a_managed_key_with_a_timestamp_of_a_chain_that_lasted_minutes():
    key = signature.load_pem((GO / "public-key-validity.pub").read_bytes())
    artifact = Prehashed("sha256", bytes.fromhex(BY_KEY))
    bundle, trust = of_go("public-key-validity"), root_of_go("public-key-validity")
    assert len(proved_by_key(bundle, key, trust, artifact).times) == 1
    with pytest.raises(ModelSealError) as refused:
        proved_by_key(bundle, key, root("public-good"), artifact)
    assert refused.value.code == "not-logged"


@pytest.mark.parametrize(
    ("name", "host"),
    [("public-good", "tuf-repo-cdn.sigstore.dev"), ("staging", "tuf-repo-cdn.sigstage.dev")],
)
def test_embedded_roots_are_those_of_sigstore_python(name, host):
    store = importlib.resources.files("sigstore._store")
    theirs = (store / f"https%3A%2F%2F{host}" / "trusted_root.json").read_bytes()
    assert root(name).json == theirs
