# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha384, sha512

import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from modelseal.errors import FormatError
from modelseal.instance import entries

MESSAGE = b"what was signed"
P256, P384, P521 = (
    ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
)
RSA = rsa.generate_private_key(65537, 2048)
ED25519 = ed25519.Ed25519PrivateKey.generate()
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)


def b64(data):
    return b64encode(data).decode()


def verifier(key, details):
    raw = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {"publicKey": {"rawBytes": b64(raw)}, "keyDetails": details}


def hashedrekord(key, details, signature, digest):
    signed = {"content": b64(signature), "verifier": verifier(key, details)}
    return {"hashedRekordRequestV002": {"digest": b64(digest), "signature": signed}}


GOOD = hashedrekord(
    P256, "PKIX_ECDSA_P256_SHA_256", P256.sign(MESSAGE, ec.ECDSA(hashes.SHA256())),
    sha256(MESSAGE).digest(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "details", "sign", "digest", "name"),
    [
        (P256, "PKIX_ECDSA_P256_SHA_256", [ec.ECDSA(hashes.SHA256())], sha256, "SHA2_256"),
        (P384, "PKIX_ECDSA_P384_SHA_384", [ec.ECDSA(hashes.SHA384())], sha384, "SHA2_384"),
        (P521, "PKIX_ECDSA_P521_SHA_512", [ec.ECDSA(hashes.SHA512())], sha512, "SHA2_512"),
        (
            RSA, "PKIX_RSA_PKCS1V15_2048_SHA256", [padding.PKCS1v15(), hashes.SHA256()],
            sha256, "SHA2_256",
        ),
        (RSA, "PKIX_RSA_PSS_2048_SHA256", [PSS, hashes.SHA256()], sha256, "SHA2_256"),
    ],
)  # fmt: skip
def test_every_kind_of_key(key, details, sign, digest, name):
    signature = key.sign(MESSAGE, *sign)
    entry = entries.parse_request(hashedrekord(key, details, signature, digest(MESSAGE).digest()))
    body = json.loads(entry.body)
    assert (entry.kind, body["kind"], body["apiVersion"]) == (
        "hashedrekord",
        "hashedrekord",
        "0.0.2",
    )
    spec = body["spec"]["hashedRekordV002"]
    assert spec["data"] == {"algorithm": name, "digest": b64(digest(MESSAGE).digest())}
    assert spec["signature"]["content"] == b64(signature)
    assert spec["signature"]["verifier"] == verifier(key, details)
    assert rfc8785.dumps(body) == entry.body


def test_plain_ed25519_cannot_be_checked_by_digest():
    request = hashedrekord(ED25519, "PKIX_ED25519", ED25519.sign(MESSAGE), sha512(MESSAGE).digest())
    with pytest.raises(FormatError) as error:
        entries.parse_request(request)
    assert error.value.code == "bad-algorithm"


def test_ed25519ph_by_the_vector_of_rfc_8032():
    key = ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
    )
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    digest = sha512(b"abc").digest()
    entries.parse_request(hashedrekord(key, "PKIX_ED25519_PH", signature, digest))
    with pytest.raises(FormatError):
        entries.parse_request(hashedrekord(key, "PKIX_ED25519_PH", signature, digest[::-1]))


def changed(path, value):
    request = json.loads(json.dumps(GOOD))
    at = request["hashedRekordRequestV002"]
    for name in path[:-1]:
        at = at[name]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return request


RAW = ["signature", "verifier", "publicKey", "rawBytes"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["digest"], None), (["digest"], ""), (["digest"], "AAAA"), (["digest"], b64(bytes(32))),
        (["digest"], "!"), (["digest"], 5), (["unknown"], 1), (["signature"], None),
        (["signature", "content"], None), (["signature", "content"], ""),
        (["signature", "content"], b64(b"x" * 70)), (["signature", "other"], 1),
        (["signature", "verifier"], {}), (["signature", "verifier", "keyDetails"], None),
        (["signature", "verifier", "keyDetails"], "PKIX_ECDSA_P384_SHA_384"),
        (["signature", "verifier", "keyDetails"], "PKIX_ED25519"),
        (["signature", "verifier", "keyDetails"], 5), (["signature", "verifier", "other"], 1),
        (["signature", "verifier", "x509Certificate"], {"rawBytes": "AAAA"}), (RAW, ""),
        (RAW, "AAAA"), (RAW, b64(b"\x30" * 100)), ([*RAW[:-1], "other"], 1),
    ],
)  # fmt: skip
def test_anything_else_is_refused(path, value):
    entries.parse_request(GOOD)
    with pytest.raises(FormatError):
        entries.parse_request(changed(path, value))


@pytest.mark.parametrize(
    "request_", [{}, GOOD | {"dsseRequestV002": {}}, {"hashedRekordRequestV001": {}}]
)
def test_exactly_one_kind_of_request(request_):
    with pytest.raises(FormatError):
        entries.parse_request(request_)


PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
TYPE = "application/vnd.in-toto+json"
PAE = b"DSSEv1 28 " + TYPE.encode() + b" %d " % len(PAYLOAD) + PAYLOAD


def dsse(*signers):
    signatures = [{"sig": b64(signature)} for _, _, signature in signers]
    envelope = {"payload": b64(PAYLOAD), "payloadType": TYPE, "signatures": signatures}
    verifiers = [verifier(key, details) for key, details, _ in signers]
    return {"dsseRequestV002": {"envelope": envelope, "verifiers": verifiers}}


BY_P256 = (P256, "PKIX_ECDSA_P256_SHA_256", P256.sign(PAE, ec.ECDSA(hashes.SHA256())))
BY_ED25519 = (ED25519, "PKIX_ED25519", ED25519.sign(PAE))


@pytest.mark.parametrize("signers", [[BY_P256], [BY_ED25519], [BY_P256, BY_ED25519]])
def test_envelopes_with_one_verifier_for_each_signature(signers):
    request = dsse(*signers)
    request["dsseRequestV002"]["verifiers"].reverse()
    entry = entries.parse_request(request)
    spec = json.loads(entry.body)["spec"]["dsseV002"]
    assert b64decode(spec["payloadHash"]["digest"]) == sha256(PAYLOAD).digest()
    logged = [(item["content"], item["verifier"]["keyDetails"]) for item in spec["signatures"]]
    assert logged == [(b64(signature), details) for _, details, signature in signers]


def test_envelopes_that_do_not_verify():
    good = dsse(BY_P256)["dsseRequestV002"]
    bad = [
        good | {"verifiers": []},
        good | {"verifiers": good["verifiers"] * 2},
        good | {"verifiers": dsse(BY_ED25519)["dsseRequestV002"]["verifiers"]},
        good | {"verifiers": "x"},
        good | {"verifiers": [5]},
        *(
            good | {"envelope": good["envelope"] | change}
            for change in (
                {"payload": b64(PAYLOAD + b" ")}, {"payloadType": "text/plain"},
                {"signatures": []}, {"signatures": [{}]}, {"other": 1},
                {"payloadType": "\ud800"},
            )
        ),
    ]  # fmt: skip
    for request in bad:
        with pytest.raises(FormatError):
            entries.parse_request({"dsseRequestV002": request})


def test_an_entry_that_does_not_fit_into_a_bundle_is_refused():
    name, now = x509.Name([]), datetime.now(UTC)
    filler = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(50_000))
    certificate = (
        x509.CertificateBuilder(name, name, P256.public_key(), 1, now, now + timedelta(1))
        .add_extension(filler, critical=False)
        .sign(P256, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    signature = P256.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    request = hashedrekord(
        P256, "PKIX_ECDSA_P256_SHA_256", signature, sha256(MESSAGE).digest()
    )  # fmt: skip
    request["hashedRekordRequestV002"]["signature"]["verifier"] = {
        "x509Certificate": {"rawBytes": b64(certificate)},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    with pytest.raises(FormatError) as error:
        entries.parse_request(request)
    assert error.value.code == "too-large"


def test_many_signatures_are_refused_before_one_is_checked(monkeypatch):
    # each would be tried with each verifier: twenty minutes of work in one request of a megabyte
    monkeypatch.setattr(entries.client_keys, "verify", lambda *_: pytest.fail("was checked"))
    envelope = {
        "payload": b64(b"x"), "payloadType": "t", "signatures": [{"sig": b64(b"s")}] * 9,
    }  # fmt: skip
    request = {"envelope": envelope, "verifiers": [verifier(P256, "PKIX_ECDSA_P256_SHA_256")] * 9}
    with pytest.raises(FormatError) as caught:
        entries.parse_request({"dsseRequestV002": request})
    assert caught.value.code == "too-many"
