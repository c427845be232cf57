# SPDX-License-Identifier: Apache-2.0
"""OMS: the same statement in unusual bundles, each decided on purpose (sections 4.1, 8.1, 11.1)."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from oms_bench import Bench

from modelseal.formats import dsse, intoto, oms
from modelseal.signing.signers.key import KeySigner
from modelseal.trust import keys

NOTHING = ""


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def envelope(bundle: dict) -> dict:
    return bundle["dsseEnvelope"]


def keyid(value: object):
    def changed(bundle: dict, _: Bench) -> None:
        (one,) = envelope(bundle)["signatures"]
        one["keyid"] = value
        if value is ...:
            del one["keyid"]

    return changed


def material(**members):
    """Return the change of the verification material; values are made of the public key."""

    def changed(bundle: dict, bench: Bench) -> None:
        for name, value in members.items():
            bundle["verificationMaterial"][name] = value(bench.key.public_key())
            if value(bench.key.public_key()) is ...:
                del bundle["verificationMaterial"][name]

    return changed


def named_by(**members):
    return material(publicKey=lambda key: {name: value(key) for name, value in members.items()})


def pem(key) -> str:
    return b64encode(keys.public_pem(key)).decode()


def der(key) -> bytes:
    return keys.signature.spki(key)


def stranger(_: object) -> str:
    return pem(ec.generate_private_key(ec.SECP256R1()).public_key())


NAMED = {
    "by its PEM": (lambda *_: None, NOTHING, ""),
    "by its PEM in upper case": (named_by(hint=lambda k: keys.hints(k)[0].upper()), NOTHING, ""),
    "by its DER": (named_by(hint=lambda k: keys.hints(k)[1]), NOTHING, "of its DER,"),
    "by its DER in base64": (
        named_by(hint=lambda k: b64encode(hashlib.sha256(der(k)).digest()).decode()),
        NOTHING, "of its DER in base64",
    ),
    "by itself": (named_by(rawBytes=pem, keyDetails=lambda _: "PKIX_ECDSA_P256_SHA_256"),
                  NOTHING, "the key itself"),
    "by its own DER": (named_by(rawBytes=lambda k: b64encode(der(k)).decode()),
                       NOTHING, "the key itself"),
    "by nothing": (named_by(), NOTHING, "does not say"),
    "as another": (named_by(hint=lambda _: "0" * 64), "key-mismatch", ""),
    "by words": (named_by(hint=lambda _: "release key"), NOTHING, "is no fingerprint"),
    "as another itself": (named_by(rawBytes=stranger), "key-mismatch", ""),
    "as two": (named_by(rawBytes=stranger, hint=lambda k: keys.hints(k)[0]), "key-mismatch", ""),
    "by a number": (named_by(hint=lambda _: 1), "wrong-type", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_the_key_is_named(bench, name):
    """Section 4.1 wants a fingerprint and does not say of what; what is unusual is told."""
    change, code, note = NAMED[name]
    bundle = bench.sign(bench.statement())
    change(bundle, bench)
    bench.write(bundle)
    assert bench.refusal() == code
    assert note in bench.said
    assert ("note: " in bench.said) == bool(note)


def twice(bundle: dict, _: Bench) -> None:
    envelope(bundle)["signatures"] *= 2


def signed_as(message, sign=None):
    """Return the change that signs another message, or in another way."""

    def changed(bundle: dict, bench: Bench) -> None:
        payload = b64decode(envelope(bundle)["payload"])
        signature = (sign or by_sha256)(bench, message(payload))
        envelope(bundle)["signatures"] = [{"sig": b64encode(signature).decode()}]

    return changed


def by_sha256(bench: Bench, message: bytes) -> bytes:
    return bench.key.sign(message, ec.ECDSA(hashes.SHA256()))


def by_sha384(bench: Bench, message: bytes) -> bytes:
    return bench.key.sign(message, ec.ECDSA(hashes.SHA384()))


def by_rsa(bench: Bench, message: bytes) -> bytes:
    bench.key = rsa.generate_private_key(65537, 2048)
    bench.believe(bench.key.public_key())
    return bench.key.sign(message, padding.PKCS1v15(), hashes.SHA256())


def by_ed25519(bench: Bench, message: bytes) -> bytes:
    bench.key = ed25519.Ed25519PrivateKey.generate()
    bench.believe(bench.key.public_key())
    return bench.key.sign(message)


def good_pae(payload: bytes) -> bytes:
    return dsse.pae(intoto.PAYLOAD_TYPE, payload)


def hinted(change):
    def changed(bundle: dict, bench: Bench) -> None:
        change(bundle, bench)
        named_by(hint=lambda k: keys.hints(k)[0])(bundle, bench)

    return changed


def member(name: str, value: object):
    return lambda bundle, _: bundle.update({name: value})


ENVELOPES = {
    "keyid absent": (keyid(...), NOTHING),
    "keyid null": (keyid(None), NOTHING),
    "keyid empty": (keyid(""), NOTHING),
    "keyid of somebody": (keyid("somebody"), NOTHING),
    "keyid as a number": (keyid(1), "wrong-type"),
    "log entries absent": (material(tlogEntries=lambda _: ...), NOTHING),
    "log entries null": (material(tlogEntries=lambda _: None), NOTHING),
    "older media type": (
        member("mediaType", "application/vnd.dev.sigstore.bundle+json;version=0.3"), NOTHING,
    ),
    "media type of the future": (
        member("mediaType", "application/vnd.dev.sigstore.bundle.v9+json"), "media-type",
    ),
    "signed again": (signed_as(good_pae), NOTHING),
    "two signatures": (twice, "signature-count"),
    "no signature": (lambda b, _: envelope(b).update(signatures=[]), "signature-count"),
    "empty signature": (
        lambda b, _: envelope(b)["signatures"][0].update(sig=""), "empty-signature",
    ),
    "payload signed, not its encoding": (signed_as(lambda p: p), "signature-invalid"),
    "encoding of model_signing 0.2": (
        signed_as(lambda p: oms.old_pae(intoto.PAYLOAD_TYPE, p)), "signature-invalid",
    ),
    "encoding of another type": (
        signed_as(lambda p: dsse.pae("application/json", p)), "signature-invalid",
    ),
    "P-256 with SHA-384": (signed_as(good_pae, by_sha384), "signature-invalid"),
    "RSA": (hinted(signed_as(good_pae, by_rsa)), "unsupported-key"),
    "Ed25519": (hinted(signed_as(good_pae, by_ed25519)), "unsupported-key"),
    "payload of another type": (
        lambda b, _: envelope(b).update(payloadType="application/json"), "signature-invalid",
    ),
    "payload with a line end": (  # as protobuf reads it: the bytes are the same
        lambda b, _: envelope(b).update(payload=envelope(b)["payload"] + "\n"), NOTHING,
    ),
    "payload that is no base64": (
        lambda b, _: envelope(b).update(payload=envelope(b)["payload"] + "!"), "not-base64",
    ),
    "a certificate too": (material(certificate=lambda _: {"rawBytes": "AA=="}), "no-key-material"),
    "no key material": (material(publicKey=lambda _: ...), "no-key-material"),
    "no material": (lambda b, _: b.pop("verificationMaterial"), "missing-member"),
    "a message signature too": (member("messageSignature", {"signature": "AA=="}), "no-signature"),
    "unknown member": (member("x", 1), "unknown-member"),
    "unknown member of the envelope": (lambda b, _: envelope(b).update(x=1), "unknown-member"),
    "unknown member of the material": (material(x=lambda _: 1), "unknown-member"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelopes(bench, name):
    change, code = ENVELOPES[name]
    bundle = bench.sign(bench.statement())
    change(bundle, bench)
    bench.write(bundle)
    assert bench.refusal() == code


def test_members_that_stand_twice(bench):
    text = json.dumps(bench.sign(bench.statement()))
    bench.bundle.write_text(text.replace('"mediaType"', '"mediaType": "x", "mediaType"', 1))
    assert bench.refusal() == "duplicate-member"
    payload = json.dumps(bench.statement()).replace('"a"', '"x", "name": "a"', 1).encode()
    bench.bundle.write_bytes(KeySigner(bench.key).statement(payload))
    assert bench.refusal() == "duplicate-member"
