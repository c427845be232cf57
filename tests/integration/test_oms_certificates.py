# SPDX-License-Identifier: Apache-2.0
"""OMS by certificate: which chains the conformance client believes, each decided on purpose.

RFC 5280 section 6 checks the path; OMS section 8.2 wants the leaf valid, its conformance suite
every certificate, and a leaf for signing code. A bundle of any certificate can be made: it is
verification that refuses it.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from oms_bench import run
from private_ca import CODE, FUTURE, PAST, SIGNING, TIME, TLS, Holder, Kind, chain, issued, leaf

from modelseal.formats import dsse, intoto

if TYPE_CHECKING:
    from pathlib import Path

ROOT, BETWEEN = Kind("root"), Kind("between", length=0)
OTHER_ROOT = Kind("another root")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

# name -> the certificates from the root to the leaf, and the code of the refusal ("" if accepted)
PATHS: dict[str, tuple[tuple[Kind, ...], str]] = {
    "root, one between, leaf": ((ROOT, BETWEEN, leaf()), ""),
    "leaf of the root": ((ROOT, leaf()), ""),
    "two between": ((ROOT, Kind("upper", length=1), BETWEEN, leaf()), ""),
    "self-signed": ((leaf(ca=True),), ""),
    "P-256": ((ROOT, BETWEEN, leaf(curve=ec.SECP256R1())), ""),
    "P-521": ((ROOT, BETWEEN, leaf(curve=ec.SECP521R1())), ""),
    "RSA above an EC leaf": ((Kind("root", rsa=True), Kind("between", rsa=True), leaf()), ""),
    # As in the certificates that model_signing and its Go client are tested with.
    "leaf that is named like its CA": ((ROOT, BETWEEN, leaf(name="between", ca=True)), ""),
    "no key identifiers": (
        (Kind("root", identifiers=False), Kind("between", identifiers=False),
         leaf(identifiers=False)), "",
    ),
    "root without a key usage": ((Kind("root", usage=None), BETWEEN, leaf()), ""),
    "no constraints in the leaf": ((ROOT, BETWEEN, leaf(ca=None)), ""),
    "CA for signing code": ((ROOT, Kind("between", purpose=CODE), leaf()), ""),
    "expired leaf": ((ROOT, BETWEEN, leaf(period=PAST)), "certificate-expired"),
    "leaf of tomorrow": ((ROOT, BETWEEN, leaf(period=FUTURE)), "certificate-expired"),
    "expired between": ((ROOT, Kind("between", period=PAST), leaf()), "certificate-expired"),
    "between of tomorrow": ((ROOT, Kind("between", period=FUTURE), leaf()), "certificate-expired"),
    "expired root": ((Kind("root", period=PAST), BETWEEN, leaf()), "certificate-expired"),
    "root of tomorrow": ((Kind("root", period=FUTURE), BETWEEN, leaf()), "certificate-expired"),
    "expired leaf and between": (
        (ROOT, Kind("between", period=PAST), leaf(period=PAST)), "certificate-expired",
    ),
    "all expired": (
        (Kind("root", period=PAST), Kind("between", period=PAST), leaf(period=PAST)),
        "certificate-expired",
    ),
    "expired and self-signed": ((leaf(ca=True, period=PAST),), "certificate-expired"),
    "no purpose": ((ROOT, BETWEEN, leaf(purpose=None)), ""),
    "for timestamps": ((ROOT, BETWEEN, leaf(purpose=TIME)), "certificate-usage"),
    "for web servers": ((ROOT, BETWEEN, leaf(purpose=TLS)), "certificate-usage"),
    "not for signatures": ((ROOT, BETWEEN, leaf(usage="key_agreement")), "certificate-usage"),
    "no usage": ((ROOT, BETWEEN, leaf(usage=None)), ""),
    "CA for web servers": ((ROOT, Kind("between", purpose=TLS), leaf()), "certificate-usage"),
    "path too long": (
        (ROOT, BETWEEN, Kind("one too many"), leaf()), "untrusted-certificate",
    ),
    "CA that may not issue": (
        (ROOT, Kind("between", usage=SIGNING), leaf()), "untrusted-certificate",
    ),
    "issuer that is no CA": ((ROOT, Kind("between", ca=False), leaf()), "untrusted-certificate"),
    "issuer without constraints": (
        (ROOT, Kind("between", ca=None), leaf()), "untrusted-certificate",
    ),
    "critical unknown extension": (
        (ROOT, BETWEEN, leaf(extension=UNKNOWN)), "untrusted-certificate",
    ),
}  # fmt: skip


class Bench:
    """A model, and PEM files of the certificates that sign it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle, self.said = folder, folder / "bundle.sig", ""
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "weights").write_text("weights")

    def pem(self, name: str, *certificates: x509.Certificate) -> Path:
        path = self.folder / f"{name}.pem"
        encoded = (one.public_bytes(serialization.Encoding.PEM) for one in certificates)
        path.write_bytes(b"".join(encoded))
        return path

    def signed(self, signer: Holder, *above: Holder) -> None:
        private, certificate = signer.write(self.folder)
        between = [
            ("--cert-chain", self.pem(f"between-{n}", one.certificate))
            for n, one in enumerate(above)
        ]
        assert not self._run(
            "sign-model", "--output-bundle", self.bundle, "--private-key", private,
            "--signing-cert", certificate, *sum(between, ()),
        )  # fmt: skip

    def refusal(self, *believed: x509.Certificate) -> str:
        """Return the code with which the bundle is refused, "" if it is not."""
        chain = ("--cert-chain", self.pem("root", *believed))
        code = self._run("verify-model", "--bundle", self.bundle, *chain)
        return self.said.split("[")[1].split("]")[0] if code else ""

    def _run(self, command: str, *arguments: object) -> int:
        common = (command, "--method", "certificate", "--model-path", self.model)
        code, self.said = run(*common, *arguments)
        return code


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.mark.parametrize("name", PATHS)
def test_paths(bench, name):
    kinds, code = PATHS[name]
    first, *above = chain(*kinds)
    root = (above or [first])[-1]
    bench.signed(first, *above[:-1])
    assert bench.refusal(root.certificate) == code


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ("leaf between root", ""),  # the root need not be there, but may
        ("leaf between stranger", ""),  # what leads nowhere does no harm
        ("leaf stranger between", ""),
        ("leaf", "untrusted-certificate"),
        ("leaf root", "untrusted-certificate"),
        ("leaf impostor", "untrusted-certificate"),
        ("between leaf", "certificate-usage"),  # the leaf comes first
        ("root between leaf", "certificate-usage"),
        ("stranger between", "untrusted-certificate"),
    ],
)
def test_what_stands_in_the_chain(bench, order, code):
    end, between, root = chain(ROOT, BETWEEN, leaf())
    holders = {
        "leaf": end, "between": between, "root": root, "stranger": issued(OTHER_ROOT, None),
        "impostor": issued(BETWEEN, issued(ROOT, None)),
    }  # fmt: skip
    bench.signed(end)
    bundle = json.loads(bench.bundle.read_text())
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = [
        raw(holders[name].certificate) for name in order.split()
    ]
    bench.bundle.write_text(json.dumps(bundle))
    assert bench.refusal(root.certificate) == code


def raw(certificate: x509.Certificate) -> dict[str, str]:
    return {"rawBytes": b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()}


def test_what_is_believed(bench):
    end, between, root = chain(ROOT, BETWEEN, leaf())
    stranger = issued(OTHER_ROOT, None)
    bench.signed(end)
    assert bench.refusal(between.certificate, root.certificate) == ""
    assert bench.refusal(between.certificate) == ""  # whoever is named is believed
    assert bench.refusal(end.certificate) == ""
    assert bench.refusal(stranger.certificate, between.certificate) == ""
    assert bench.refusal(stranger.certificate) == "untrusted-certificate"
    assert bench.refusal(issued(ROOT, None).certificate) == "untrusted-certificate"


def test_the_signature_of_another_key(bench):
    end, between, root = chain(ROOT, BETWEEN, leaf())
    other = issued(leaf(), between)
    bench.signed(other, between)
    bundle = json.loads(bench.bundle.read_text())
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"][0] = raw(end.certificate)
    bench.bundle.write_text(json.dumps(bundle))
    assert bench.refusal(root.certificate) == "signature-invalid"


def test_a_leaf_with_an_rsa_key(bench):
    """OMS section 4.2 has P-256, P-384 and P-521 for models."""
    end, between, root = chain(ROOT, BETWEEN, leaf(rsa=True))
    good, *_ = chain(ROOT, leaf())
    bench.signed(good)
    bundle = json.loads(bench.bundle.read_text())
    bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = [
        raw(one.certificate) for one in (end, between)
    ]
    payload = b64decode(bundle["dsseEnvelope"]["payload"])
    signed = dsse.pae(intoto.PAYLOAD_TYPE, payload)
    made = end.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64encode(made).decode()}]
    bench.bundle.write_text(json.dumps(bundle))
    assert bench.refusal(root.certificate) == "unsupported-key"


def test_one_certificate_is_of_another_method(bench):
    """OMS section 11.1: `certificate` is what a keyless signature has, a chain this method."""
    end, root = chain(ROOT, leaf())
    bench.signed(end)
    bundle = json.loads(bench.bundle.read_text())
    bundle["verificationMaterial"] = {"certificate": raw(end.certificate), "tlogEntries": []}
    bench.bundle.write_text(json.dumps(bundle))
    assert bench.refusal(root.certificate) == "not-by-certificate"
