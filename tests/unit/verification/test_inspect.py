# SPDX-License-Identifier: Apache-2.0
"""`inspect` decides by content, shows all that can be read, and says when a signature ends."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from in_process import answers, invoke

from modelseal.errors import ModelSealError
from modelseal.verification.inspect import inspect

VECTORS = Path(__file__).parents[2] / "vectors"
KEYLESS = VECTORS / "model-signing" / "v1.1.0" / "model.sig"
CHAIN = VECTORS / "model-signing" / "v1.1.0-certificate" / "model.sig"
KEY = VECTORS / "model-signing" / "v1.0.0-key" / "model.sig"
ARTIFACT = VECTORS / "sigstore-python" / "v0.1.sigstore"
PROVENANCE = VECTORS / "sigstore-go" / "npm-provenance-v0.1.sigstore.json"


def one(path):
    (found,) = inspect(path)
    return found


def code(path):
    with pytest.raises(ModelSealError) as error:
        inspect(path)
    return error.value.code


def bent(tmp_path, source, bend):
    """Return a copy of the bundle `source` that `bend` changed."""
    value = json.loads(source.read_bytes())
    bend(value)
    path = tmp_path / "bent.json"
    path.write_text(json.dumps(value))
    return path


def material(value):
    return value["verificationMaterial"]


@pytest.mark.parametrize(
    "name", ["skill.oms.sig", "result.sigstore", "bundle", "a.txt", "a.json.7"]
)
def test_a_bundle_is_one_by_any_name(tmp_path, name):
    path = tmp_path / name
    shutil.copy(CHAIN, path)
    assert one(path)["signer"]["kind"] == "certificate"
    assert one(path)["bundle"] == str(path)


def test_a_bundle_behind_a_link_or_in_a_pipe(tmp_path):
    (tmp_path / "link").symlink_to(KEY)
    assert one(tmp_path / "link")["signer"]["kind"] == "key"
    reading, writing = os.pipe()
    os.write(writing, KEY.read_bytes()[:60_000])
    os.close(writing)
    try:
        assert one(Path(f"/dev/fd/{reading}"))["signer"]["kind"] == "key"
    finally:
        os.close(reading)


def test_a_model_stands_for_its_bundles(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    shutil.copy(KEY, tmp_path / "config.json.sigstore.json")
    shutil.copy(KEY, tmp_path / "result.sigstore")
    assert one(tmp_path / "config.json")["bundle"].endswith("config.json.sigstore.json")
    assert one(tmp_path)["bundle"].endswith("result.sigstore")


def test_a_file_called_like_a_bundle_is_not_one_for_that(tmp_path):
    model = tmp_path / "weights.sig"
    model.write_bytes(b"weights")
    shutil.copy(KEY, tmp_path / "weights.sig.sigstore.json")
    assert one(model)["bundle"].endswith("weights.sig.sigstore.json")


@pytest.mark.parametrize(("name", "content", "expected"), [
    ("model.bin", b"weights", "unsigned"),
    ("model.pkl", b"\x80\x04N.", "unsigned"),
    ("model.sig", b"weights", "not-json"),
    ("model.sig", b"", "empty"),
    ("model.sig", b"<html>", "other-kind"),
    ("cosign.bundle", b'{"base64Signature": "MEUC"}', "other-kind"),
    ("x.json", b'{"mediaType": "application/json"}', "media-type"),
    ("x.json", b'{"weights": 1}', "unsigned"),
])  # fmt: skip
def test_what_holds_no_bundle_says_what_it_is(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    assert code(tmp_path / name) == expected


def test_of_several_the_unreadable_one_is_listed(tmp_path):
    shutil.copy(KEY, tmp_path / "model.sig")
    (tmp_path / "result.sigstore").write_text("<html>")
    good, bad = inspect(tmp_path)
    assert good["signer"]["kind"] == "key"
    assert bad["error"]["code"] == "other-kind"
    text = invoke("inspect", tmp_path).stdout
    assert "a web page" in text
    assert answers(invoke("inspect", tmp_path, "--format", "json").stdout) == [good, bad]


def test_the_certificates_of_a_chain_are_shown():
    found = one(CHAIN)
    assert found["certificate"] == {
        "subject": "CN=intermediate-ca", "issuer": "CN=intermediate-ca",
        "serial": "6e5346e4b06d34cf978386af305f25aeff0b6755",
        "not_before": "2025-05-02T23:36:28+00:00", "not_after": "2035-04-30T23:36:28+00:00",
        "key": "ECDSA P-384",
        "sha256": "da3662b630eb0f585c33f114a076b8da2ceda0f275cb578e6d1d9cab84c04d3b",
    }  # fmt: skip
    assert [c["key"] for c in found["chain"]] == ["RSA 3072"]
    assert found["signer"] == {
        "kind": "certificate", "identity": "CN=intermediate-ca", "issuer": "CN=intermediate-ca",
    }  # fmt: skip
    text = invoke("inspect", CHAIN).stdout
    assert "readable" not in text
    assert "serial: 6e5346e4b06d34cf978386af305f25aeff0b6755" in text
    assert "key: ECDSA P-384" in text


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path):
    def spoil(value):
        material(value)["x509CertificateChain"]["certificates"][0]["rawBytes"] = "AAAA"
        material(value)["timestampVerificationData"] = {
            "rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]
        }
        value["dsseEnvelope"]["payload"] = "e30="

    path = bent(tmp_path, CHAIN, spoil)
    found = one(path)
    assert found["certificate"]["unreadable"] is True
    assert found["chain"][0]["subject"] == "CN=intermediate-ca"
    assert found["timestamps"][0].startswith("unreadable")
    assert found["manifest"]["files"] == []
    assert "'_type'" in found["manifest"]["error"]
    assert invoke("inspect", path).exit_code == 0


def test_other_statements_are_named_with_their_subjects():
    found = one(PROVENANCE)
    assert found["predicate_type"] == "https://slsa.dev/provenance/v1"
    assert [s["name"] for s in found["subjects"]] == ["pkg:npm/sigstore@2.0.0"]
    text = invoke("inspect", PROVENANCE).stdout
    assert "about: pkg:npm/sigstore@2.0.0  sha512 46d4" in text
    assert "manifest: none. The bundle holds provenance" in text


# -- when it stops verifying ---------------------------------------------------------------------


def until(path):
    found = one(path)
    return found["verifies_until"], found["verifies_until_because"]


def test_a_key_has_no_end():
    assert until(KEY) == (None, "it is by a key, which has no end")


def test_a_chain_ends_with_the_first_of_its_certificates(tmp_path):
    end, reason = until(CHAIN)
    assert end == "2035-04-30T23:36:28+00:00"
    assert "nothing says when it was used" in reason
    assert (
        "verifies until: 2035-04-30T23:36:28+00:00 (a certificate"
        in invoke("inspect", CHAIN).stdout
    )

    def shorten(value):
        keyless = json.loads(KEYLESS.read_bytes())["verificationMaterial"]["certificate"]
        material(value)["x509CertificateChain"]["certificates"].append(keyless)

    assert until(bent(tmp_path, CHAIN, shorten))[0] == "2025-10-10T02:22:19+00:00"


@pytest.mark.parametrize(("source", "word"), [
    (KEYLESS, "timestamp"), (PROVENANCE, "log"), (ARTIFACT, "log"),
])  # fmt: skip
def test_a_time_that_somebody_vouches_for_keeps_it(source, word):
    end, reason = until(source)
    assert end is None
    assert f"a {word} says when" in reason


def test_a_log_that_tells_no_time_keeps_nothing(tmp_path):
    def spoil(value):
        del material(value)["timestampVerificationData"]
        for entry in material(value)["tlogEntries"]:
            del entry["inclusionPromise"]  # without it nobody vouches for the time

    assert until(bent(tmp_path, KEYLESS, spoil))[0] == "2025-10-10T02:22:19+00:00"
