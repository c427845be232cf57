# SPDX-License-Identifier: Apache-2.0
"""A CA certifies many: which of them must have signed is the caller's to say."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from in_process import answers, invoke
from private_ca import Kind, issued, leaf

ROOT = issued(Kind("root"), None)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"weights")
    (tmp_path / "root.pem").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    return folder


def sign(model, name, **more):
    key, certificate = issued(leaf(name=name, **more), ROOT).write(model.parent)
    done = invoke("sign", model, "--key", key, "--certificate", certificate, "--overwrite")
    assert done.exit_code == 0, done.output


def verify(model, *options):
    ca = ("--certificate-chain", model.parent / "root.pem")
    done = invoke("verify", model, *ca, *options, "--format", "json")
    (verdict,) = answers(done.stdout)
    return verdict


def test_anybody_whom_the_ca_certifies_unless_a_subject_is_named(model):
    sign(model, "mallory")
    anybody = verify(model)
    assert anybody["code"] == "accepted"
    notes = [check["detail"] for check in anybody["checks"] if check["name"] == "note"]
    assert any("nobody said whose" in note for note in notes), notes
    assert verify(model, "--certificate-subject", "CN=alice")["code"] == "signer-not-accepted"
    sign(model, "alice")
    alice = verify(model, "--certificate-subject", "CN=alice")
    assert (alice["code"], alice["signer"]["identity"]) == ("accepted", "CN=alice")
    assert not any("nobody said" in check["detail"] for check in alice["checks"])


def test_another_name_in_the_certificate_will_do(model):
    mail = x509.SubjectAlternativeName([x509.RFC822Name("alice@example.com")])
    sign(model, "alice", extension=mail)
    assert verify(model, "--certificate-subject", "alice@example.com")["code"] == "accepted"
    assert verify(model, "--certificate-subject", "bob@example.com")["verdict"] == "refused"


def test_a_subject_goes_with_a_ca(model):
    sign(model, "alice")
    done = invoke("key", "generate", model.parent / "k.key")
    assert done.exit_code == 0
    key = ("--key", model.parent / "k.pub")
    done = invoke("verify", model, *key, "--certificate-subject", "CN=alice")
    assert (done.exit_code, "[whose-signature]" in done.output) == (2, True)
