# SPDX-License-Identifier: Apache-2.0
"""Known publishers: the shipped rows are what they say, and nobody is trusted unless named."""

from __future__ import annotations

import json
from hashlib import sha256

import output_schema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from in_process import invoke
from private_ca import Kind, chain, leaf

from modelseal.errors import FormatError
from modelseal.policy import document, printed
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity
from modelseal.trust import publishers

POLICY = """\
version = 1
default = "deny"
publishers = ["vendor"]
[[rule]]
models = ["*"]
signers = ["vendor"]
"""


def test_the_shipped_rows():
    for name, row in publishers.known().items():
        assert row.source.startswith("https://"), name
        assert row.evidence
        assert row.bundles
        if row.method == "identity":
            assert row.identity
            assert row.issuer.startswith("https://")
            assert not row.root
        else:
            certificate = x509.load_pem_x509_certificate(row.root.encode())
            der = certificate.public_bytes(Encoding.DER)
            assert sha256(der).hexdigest() == row.root_sha256
            assert not row.identity


def test_list_and_show():
    listed = invoke("publishers", "list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(publishers.known())
    for arguments in (("list",), ("show", "nvidia-skills")):
        found = json.loads(invoke("publishers", *arguments, "--format", "json").stdout)
        assert output_schema.problem(found) is None
    shown = invoke("publishers", "show", "nvidia-skills").stdout
    assert "6f1bb875b77aea3fc878a7a3237497235c53657601375c0ef4bdcde69e843782" in shown
    done = invoke("publishers", "show", "nvidia-skill")
    assert (done.exit_code, "'nvidia-skills'" in done.stderr) == (2, True)


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    """Make a CA the root of a publisher, "vendor"; return the files of a leaf of it."""
    holder, ca = chain(Kind("root"), leaf())
    pem = ca.certificate.public_bytes(Encoding.PEM).decode()
    rows = f"""
[vendor]
title = "Vendor"
method = "certificate"
root = '''{pem}'''
root_sha256 = ""
bundles = ["model.sig"]
source = "https://vendor.example"
evidence = "test"
checked = 2026-01-01
[person]
title = "Person"
method = "identity"
identity = "alice@example.com"
issuer = "https://issuer.example"
bundles = ["model.sig"]
source = "https://vendor.example"
evidence = "test"
checked = 2026-01-01
"""
    (tmp_path / "publishers.toml").write_text(rows)
    monkeypatch.setattr(publishers, "FILE", tmp_path / "publishers.toml")
    return holder.write(tmp_path)


@pytest.fixture
def model(vendor, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "w").write_text("weights")
    private, certificate = vendor
    done = invoke("sign", tmp_path / "model", "--key", private, "--certificate", certificate)
    assert done.exit_code == 0, done.output
    return tmp_path / "model"


def test_a_publisher_that_is_named_is_accepted(model, tmp_path):
    assert invoke("verify", model, "--publisher", "vendor").exit_code == 0
    assert invoke("verify", model, "--publisher", "nobody").exit_code == 2
    (tmp_path / "policy.toml").write_text(POLICY)
    assert invoke("verify", model, "--policy", tmp_path / "policy.toml").exit_code == 0
    (model / "w").write_text("other")
    assert invoke("verify", model, "--publisher", "vendor").exit_code == 1


def test_two_ways_of_naming_a_signer_are_one_too_many(model, vendor):
    done = invoke("verify", model, "--publisher", "vendor", "--key", vendor[0])
    assert (done.exit_code, "[whose-signature]" in done.stderr) == (2, True)
    done = invoke("verify", model, env={"MODELSEAL_PUBLISHER": "vendor"})
    assert done.exit_code == 0, done.output


def test_in_a_policy_it_is_a_signer_that_is_printed_whole(vendor, tmp_path):
    policy = document.parse(POLICY, tmp_path)
    (signer,) = policy.signers
    assert isinstance(signer, AcceptedAuthority)
    again = document.parse(printed.to_toml(policy), tmp_path)
    assert printed.to_dict(again) == printed.to_dict(policy)
    assert "publishers" not in printed.to_dict(policy)
    person = document.parse(POLICY.replace("vendor", "person"), tmp_path)
    assert person.signers == (
        AcceptedIdentity("person", "alice@example.com", "https://issuer.example"),
    )


@pytest.mark.parametrize(
    "text",
    [
        POLICY.replace('publishers = ["vendor"]', 'publishers = ["nobody"]'),
        POLICY.replace('publishers = ["vendor"]', ""),  # none is there unless it is named
        POLICY.replace('publishers = ["vendor"]', 'publishers = "vendor"'),
        POLICY.replace(
            "[[rule]]", '[signers.vendor]\nidentity = "a@b.c"\nissuer = "https://i"\n[[rule]]'
        ),
    ],
)
def test_policies_that_are_refused(vendor, tmp_path, text):
    with pytest.raises(FormatError) as caught:
        document.parse(text, tmp_path)
    assert caught.value.code == "bad-policy"
