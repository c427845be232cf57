# SPDX-License-Identifier: Apache-2.0
"""OMS by identity: what the bundle of the method sigstore must have (sections 4.1, 8.2, 11.1)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from oms_bench import run

from modelseal.formats.strict import b64decode
from modelseal.trust import keys

if TYPE_CHECKING:
    from pathlib import Path

ALICE = "alice@example.com"


class Signed:
    """A model that Alice signed, and the question who did."""

    def __init__(self, instance, folder: Path) -> None:
        self.model, self.bundle, self.folder = folder / "model", folder / "m.sig", folder
        self.model.mkdir()
        (self.model / "weights").write_text("weights")
        self.who = ("--identity", ALICE, "--identity-provider", instance.issuer)
        self.root, self.trusted = ("--trusted-root", instance.trusted_root), instance.trusted_root
        done = run(
            "sign-model", "--method", "sigstore", "--model-path", self.model,
            "--output-bundle", self.bundle, "--identity-token", instance.token(ALICE),
            "--trust-config", instance.trust_config,
        )  # fmt: skip
        assert done.code == 0, done.said
        self.original = self.bundle.read_text()

    def refusal(self, method: str, *options: object) -> str:
        code, said = run(
            "verify-model", "--method", method, "--model-path", self.model,
            "--bundle", self.bundle, *options,
        )  # fmt: skip
        return said.rsplit("[", 1)[1].split("]")[0] if code else ""


@pytest.fixture(scope="module")
def signed(instance, tmp_path_factory):
    return Signed(instance, tmp_path_factory.mktemp("keyless"))


@pytest.fixture
def bundle(signed):
    """Give the bundle to be changed; it is as it was afterwards."""
    yield json.loads(signed.original)
    signed.bundle.write_text(signed.original)


def material(change):
    return lambda bundle: change(bundle["verificationMaterial"])


def as_chain(found: dict) -> None:
    found["x509CertificateChain"] = {"certificates": [found.pop("certificate")]}


def as_key(found: dict) -> None:
    del found["certificate"]
    found["publicKey"] = {"hint": "0" * 64}


CHANGES = {
    "as it is written": (lambda _: None, ""),
    "keyid absent": (lambda b: b["dsseEnvelope"]["signatures"][0].pop("keyid", None), ""),
    "keyid null": (lambda b: b["dsseEnvelope"]["signatures"][0].update(keyid=None), ""),
    "a chain in place of the certificate": (material(as_chain), "bad-bundle"),
    "a key in place of the certificate": (material(as_key), "not-keyless"),
    "no log entry": (material(lambda m: m.update(tlogEntries=[])), "not-keyless"),
    "log entries absent": (material(lambda m: m.pop("tlogEntries")), "not-keyless"),
    "a log entry twice": (
        material(lambda m: m.update(tlogEntries=m["tlogEntries"] * 2)), "not-keyless",
    ),
    "no timestamp": (material(lambda m: m.pop("timestampVerificationData")), "no-trusted-time"),
    "no proof": (material(lambda m: m["tlogEntries"][0].pop("inclusionProof")), "not-logged"),
    "another type": (lambda b: b.update(mediaType="application/json"), "media-type"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_bundles(signed, bundle, name):
    change, code = CHANGES[name]
    change(bundle)
    signed.bundle.write_text(json.dumps(bundle))
    assert signed.refusal("sigstore", *signed.who, *signed.root) == code


@pytest.mark.parametrize(
    ("identity", "issuer", "code"),
    [(ALICE.upper(), None, "identity-mismatch"), (f" {ALICE}", None, "identity-mismatch"),
     ("*", None, "identity-mismatch"), (ALICE, "https://issuer.example", "issuer-mismatch"),
     (ALICE, "/", "issuer-mismatch"), ("", None, "whose-signature")],
)  # fmt: skip
def test_the_identity_is_exact(signed, identity, issuer, code):
    asked = f"{signed.who[3]}/" if issuer == "/" else issuer or signed.who[3]
    who = ("--identity", identity, "--identity-provider", asked)
    assert signed.refusal("sigstore", *who, *signed.root) == code
    assert signed.refusal("sigstore", *signed.who[:2], *signed.root) == "missing-option"


def test_other_methods_want_other_bundles(signed):
    """Not even where the CA or the key that is given is the right one."""
    (authority,) = json.loads(signed.trusted.read_text())["certificateAuthorities"]
    chain = [
        x509.load_der_x509_certificate(b64decode(one["rawBytes"], what="certificate"))
        for one in authority["certChain"]["certificates"]
    ]
    pem = signed.folder / "ca.pem"
    pem.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in chain))
    assert signed.refusal("certificate", "--cert-chain", pem) == "not-by-certificate"

    found = json.loads(signed.original)["verificationMaterial"]["certificate"]["rawBytes"]
    own = x509.load_der_x509_certificate(b64decode(found, what="certificate")).public_key()
    pem.write_bytes(keys.public_pem(own))
    assert signed.refusal("key", "--public-key", pem) == "not-by-key"
