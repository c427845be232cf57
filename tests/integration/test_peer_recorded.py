# SPDX-License-Identifier: Apache-2.0
"""Bundles that older clients wrote on the staging and the public instance, verified offline."""

from __future__ import annotations

import json
import shutil
import socket
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from modelseal.admission.check import check
from modelseal.policy.document import Policy
from modelseal.trust import trust_root as trust
from modelseal.verification.verifier import Verifier

VECTORS = Path(__file__).parents[1] / "vectors"
GITHUB = "https://github.com/login/oauth"
IBM = "https://sigstore.verify.ibm.com/oauth2"
RELEASES = ("v0.3.1", "v1.1.0")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """Have neither a network nor a cache: only the trust roots that come with the package."""

    def refuse(*_):
        pytest.fail("something wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def verdict_of_file(bundle, *, identity="a@tny.town", issuer=GITHUB, file="bundle.txt"):
    path = VECTORS / "sigstore-python" / file
    return check(
        path, Policy.for_signer(identity, issuer), Verifier(trust.choose(staging=True)), bundle
    )


def verdict_of_model(model, *, identity="stefanb@us.ibm.com", issuer=IBM):
    return check(model, Policy.for_signer(identity, issuer), Verifier(trust.choose()))


def flipped(text: str) -> str:
    raw = bytearray(b64decode(text))
    raw[-6] ^= 1
    return b64encode(raw).decode()


def test_a_bundle_v0_1():
    bundle = VECTORS / "sigstore-python" / "v0.1.sigstore"
    verdict = verdict_of_file(bundle)
    assert verdict
    assert f"{verdict.time:%Y-%m-%d %H:%M:%S}" == "2023-04-26 00:21:09"
    assert verdict_of_file(bundle, identity="b@tny.town").code == "identity-mismatch"
    assert verdict_of_file(bundle, file="README.md").code == "digest-mismatch"


def signature(bundle):
    signed = bundle["messageSignature"]
    signed["signature"] = flipped(signed["signature"])


def promise(bundle):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    signed = entry["inclusionPromise"]
    signed["signedEntryTimestamp"] = flipped(signed["signedEntryTimestamp"])


def no_promise(bundle):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    del entry["inclusionPromise"]


def time(bundle):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 60)


def tree_size(bundle):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    entry["inclusionProof"]["treeSize"] = str(int(entry["inclusionProof"]["treeSize"]) + 1)


@pytest.mark.parametrize("alter", [signature, promise, no_promise, time, tree_size])
def test_an_altered_bundle_v0_1(alter, tmp_path):
    bundle = json.loads((VECTORS / "sigstore-python" / "v0.1.sigstore").read_text())
    alter(bundle)
    altered = tmp_path / "altered.sigstore"
    altered.write_text(json.dumps(bundle))
    assert verdict_of_file(altered).status == "refused"


def test_a_bundle_v0_2_without_checkpoint_proves_no_log():
    bundle = VECTORS / "sigstore-python" / "v0.2-without-checkpoint.sigstore"
    verdict = verdict_of_file(bundle, identity="william@yossarian.net")
    assert verdict.status == "refused"


def test_the_public_instance_does_not_vouch_for_staging():
    path = VECTORS / "sigstore-python" / "bundle.txt"
    policy = Policy.for_signer("a@tny.town", GITHUB)
    verdict = check(path, policy, Verifier(trust.choose()), path.with_name("v0.1.sigstore"))
    assert verdict.code == "untrusted-certificate"


@pytest.fixture(params=RELEASES)
def model(request, tmp_path):
    return shutil.copytree(VECTORS / "model-signing" / request.param, tmp_path / "model")


def test_a_model_of_an_older_release(model):
    assert verdict_of_model(model)
    assert verdict_of_model(model, identity="mallory@us.ibm.com").code == "identity-mismatch"


def change(model):
    (model / "signme-1").write_text("signme-2")


def remove(model):
    (model / "signme-2").unlink()


def add(model):
    (model / "new").write_text("new")


@pytest.mark.parametrize("alter", [change, remove, add])
def test_an_altered_model_of_an_older_release(alter, model):
    alter(model)
    assert verdict_of_model(model).status == "refused"
