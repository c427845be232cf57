# SPDX-License-Identifier: Apache-2.0
"""Files that are taken for bundles are called what they are, and never damaged."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from modelseal.errors import FormatError
from modelseal.formats import bundle, intoto, kinds, oms

KEY = ec.generate_private_key(ec.SECP256R1())
SIGNATURE = KEY.sign(b"weights", ec.ECDSA(hashes.SHA256()))
BUNDLE = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {}}
ENVELOPE = {"payload": "e30=", "payloadType": intoto.PAYLOAD_TYPE, "signatures": [{"sig": "AA=="}]}
REKOR = {"SignedEntryTimestamp": "MEUC", "Payload": {"body": "e30=", "logIndex": 1}}
IMAGE = {"critical": {"identity": {}, "image": {}, "type": "cosign container image signature"}}
PEM = "-----BEGIN {0}-----\nMIIB\n-----END {0}-----\n"


def js(value: object) -> bytes:
    return json.dumps(value, indent=1).encode()


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


# name -> (the file, a part of what it is called, a part of the hint)
FILES = {
    "cosign 2": (
        js({"base64Signature": "MEUC", "cert": "LS0t", "rekorBundle": REKOR}),
        "cosign 2", "cosign bundle create --artifact FILE --bundle BUNDLE",
    ),
    "cosign 2, by key": (js({"base64Signature": "MEUC"}), "cosign 2", "cosign bundle create"),
    "cosign download signature": (
        lines({"Base64Signature": "MEUC", "Payload": "e30=", "Cert": None}),
        "cosign download signature", "cosign verify IMAGE",
    ),
    "attestation lines": (
        lines(BUNDLE, BUNDLE, BUNDLE), "3 bundles", "gh attestation verify",
    ),
    "lines and an empty one": (lines(BUNDLE, BUNDLE) + b"\n", "2 bundles", "sed -n 1p"),
    "envelope lines": (lines(ENVELOPE, ENVELOPE), "2, the first being a DSSE envelope", "missing"),
    "list of bundles": (js([BUNDLE, BUNDLE]), "2 bundles", "Give one of them"),
    "gh api": (js({"attestations": [{"bundle": BUNDLE}]}), "attestations", "Give one of them"),
    "gh attestation verify": (
        js([{"attestation": {"bundle": BUNDLE}, "verificationResult": {}}]),
        "gh attestation verify", "Download",
    ),
    "DSSE envelope": (js(ENVELOPE), "DSSE envelope alone", "modelseal sign"),
    "statement": (
        js({"_type": intoto.STATEMENT_TYPE, "subject": [], "predicateType": "x", "predicate": {}}),
        "in-toto statement that nobody signed", "modelseal sign",
    ),
    "simple signing": (js(IMAGE), "image signature", "cosign verify IMAGE"),
    "rekor bundle": (js(REKOR), "Rekor", "part of a bundle"),
    "rekor 1 answer": (js({"24296fb2" * 10: {"body": "e30="}}), "Rekor", "part of a bundle"),
    "rekor 2 answer": (js({"logIndex": "1", "canonicalizedBody": "e30="}), "Rekor", "part"),
    "TUF": (js({"signed": {"_type": "root"}, "signatures": []}), "TUF", "publisher"),
    "trusted root": (
        js({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}),
        "trusted root", "--trusted-root",
    ),
    "trust config": (
        js({"mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"}),
        "trust config", "--trust-config",
    ),
    "PyPI attestation": (
        js({"version": 1, "verification_material": {}, "envelope": {}}), "Python package", "pypi",
    ),
    "Notation": (js({"payload": "", "protected": "", "signature": ""}), "Notation", "publisher"),
    "CycloneDX": (js({"bomFormat": "CycloneDX"}), "CycloneDX", "publisher"),
    "digests": (js({"root": "sha256:", "serialization": {}}), "nobody signed", "--manifest BUNDLE"),
    "GitHub error": (
        js({"message": "Not Found", "documentation_url": "x", "status": "404"}),
        "web service: 'Not Found'", "Download",
    ),
    "hub error": (js({"error": "Gated\x1b[2J\n"}), "'Gated\\x1b[2J\\n'", "Download"),
    "LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid x\n", "LFS", "git lfs pull",
    ),
    "web page": (b"\n<!DOCTYPE html><html>", "a web page", "Download"),
    "XML error": (b"<?xml version='1.0'?><Error><Code>AccessDenied", "XML", "Download"),
    "signature in base64": (
        b64encode(SIGNATURE) + b"\n", "detached signature", "--signature SIGNATURE",
    ),
    "signature": (SIGNATURE, "detached signature", "--certificate CERTIFICATE"),
    "Ed25519": (
        ed25519.Ed25519PrivateKey.generate().sign(b"x"), "detached signature", "cosign bundle",
    ),
    "RSA": (b"\xf3" * 256, "detached signature", "cosign bundle create"),
    "certificate": (PEM.format("CERTIFICATE").encode(), "a certificate", "cosign bundle create"),
    "certificate of cosign": (
        b64encode(PEM.format("CERTIFICATE").encode()), "a certificate", "cosign bundle create",
    ),
    "public key": (PEM.format("PUBLIC KEY").encode(), "a public key", "--key"),
    "private key": (PEM.format("ENCRYPTED PRIVATE KEY").encode(), "a private key", "secret"),
    "cosign key": (PEM.format("ENCRYPTED SIGSTORE PRIVATE KEY").encode(), "private", "secret"),
    "PGP": (PEM.format("PGP SIGNATURE").encode(), "PGP", "gpg --verify"),
    "PGP, binary": (b"\x89\x02\x33\x04\x00\x01\x0a", "PGP", "gpg --verify"),
    "SSH": (PEM.format("SSH SIGNATURE").encode(), "SSH", "ssh-keygen -Y verify"),
    "CMS": (PEM.format("PKCS7").encode(), "CMS", "publisher"),
    "minisign": (b"untrusted comment: signature from", "minisign", "publisher"),
    "JWT": (b"eyJhbGciOiJub25lIn0.e30.c2ln\n", "JSON Web", "publisher"),
    "checksum": (b"0f" * 32 + b"  model.bin\n", "checksum", "modelseal sign"),
    "bare checksum": (b"0f" * 32, "checksum", "modelseal sign"),
    "binary bundle": (
        b"\n\x2dapplication/vnd.dev.sigstore.bundle.v0.3+json\x12\x00", "binary form", "JSON",
    ),
    "UTF-16": (json.dumps(BUNDLE).encode("utf-16"), "UTF-16", "UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf" + js(BUNDLE), "byte order mark", "UTF-8"),
    "gzip": (gzip.compress(js(BUNDLE)), "gzip", "Unpack"),
    "Snappy": (b"\xff\x06\x00\x00sNaPpY", "Snappy", "Unpack"),
    "pickle": (b"\x80\x04N.", "a pickle", "signs it"),
    "GGUF": (b"GGUF\x03\x00\x00\x00", "GGUF", "signs it"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_each_kind_is_named_with_what_to_do(name):
    data, called, hint = FILES[name]
    with pytest.raises(FormatError) as refused:
        bundle.parse(data)
    assert refused.value.code == "other-kind"
    assert called in refused.value.message
    assert hint in refused.value.hint
    assert "damaged" not in refused.value.hint
    assert (refused.value.message + refused.value.hint).isprintable()


@pytest.mark.parametrize("data", [
    js(BUNDLE), js(BUNDLE | {"message": "x", "base64Signature": "y"}), b"{}", b"[]", b"[1]", b"",
    b"{", b'{"mediaType": "text/plain"}', b"\x00\xff" * 50, b"weights", b"MEUC", b"null", b'"x"',
    b'{"error": {"code": 1}}', b'{"a": 1}\n', b'{"a": 1}\n{"b": 2}\n', b"-----BEGIN SOMETHING-----",
])  # fmt: skip
def test_what_is_not_known_keeps_its_own_refusal(data):
    assert kinds.of(data) is None
    with pytest.raises(FormatError) as refused:
        bundle.parse(data)
    assert refused.value.code != "other-kind"


@given(st.binary(max_size=600) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_named_or_not(data):
    kind = kinds.of(data)
    assert kind is None or (kind.name.isprintable() and len(kind.name) < 200)


@given(st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*BUNDLE, *ENVELOPE, "error", "critical", "signed"]), inner),
))  # fmt: skip
def test_any_json_is_named_or_not(value):
    kinds.of(js(value))


def test_how_much_is_looked_at_is_bounded():
    assert kinds.of(b"[" + b"0," * 2_000_000 + b"0]") is None
    assert kinds.of(lines(BUNDLE, {"x": "y" * 3_000_000})).name.startswith("a list of 2 bundles")
    assert kinds.of(b"A" * 5_000_000) is None


# -- signed statements ---------------------------------------------------------------------------

SUBJECT = {"name": "model.bin", "digest": {"sha256": "00" * 32}}


def statement(predicate_type, *subjects, kind=intoto.STATEMENT_TYPE):
    obj = {"_type": kind, "subject": list(subjects), "predicateType": predicate_type}
    return js({**obj, "predicate": {}})


def refused(data):
    with pytest.raises(FormatError) as error:
        oms.from_statement(intoto.parse(data))
    return error.value


@pytest.mark.parametrize(("predicate_type", "called"), [
    ("https://slsa.dev/provenance/v1", "provenance"),
    ("https://cyclonedx.org/bom", "bill of materials"),
    ("https://spdx.dev/Document/v2.3", "bill of materials"),
    ("https://docs.pypi.org/attestations/publish/v1", "Python package"),
    ("https://sigstore.dev/cosign/sign/v1", "container image"),
    ("https://model_signing/DigestOfDigests/v0.1", "pre-release of model-signing"),
    ("https://example.com/x", "a statement of type 'https://example.com/x'"),
])  # fmt: skip
def test_statements_of_other_types_are_named(predicate_type, called):
    one = refused(statement(predicate_type, SUBJECT))
    assert one.code == "not-a-model-signature"
    assert called in one.message
    assert "about one file" in one.message
    assert "cosign verify-blob-attestation" in one.hint
    several = refused(statement(predicate_type, SUBJECT, SUBJECT, SUBJECT))
    assert "about 3 files" in several.message
    assert "cosign" not in several.hint


def test_old_statements_are_named():
    old = statement(
        "https://slsa.dev/provenance/v0.2", SUBJECT, kind="https://in-toto.io/Statement/v0.1"
    )
    assert refused(old).code == "statement-type"
    assert "provenance" in refused(old).message


def test_a_model_signature_of_several_subjects_is_named():
    found = refused(statement(oms.PREDICATE_TYPE, SUBJECT, SUBJECT))
    assert (found.code, "2 subjects" in found.message) == ("subject-count", True)
