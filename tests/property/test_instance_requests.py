# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked of an instance, the answer is a refusal or right, never a crash."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from modelseal.errors import ModelSealError
from modelseal.instance import entries, pki, tokens
from modelseal.instance.tsa import TimestampAuthority

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START.timestamp() + 86400
KEY, ROOT_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
TSA = TimestampAuthority(KEY, pki.tsa_chain(KEY.public_key(), ROOT_KEY, START))
VERIFIER = (
    VerifierBuilder().tsa_certificate(TSA.chain[0]).add_root_certificate(TSA.chain[1]).build()
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.binary(max_size=100), st.booleans(), st.none() | st.integers(0, 2**255))
def test_every_timestamp_verifies(message, cert_req, nonce):
    imprint = {
        "hash_algorithm": {"algorithm": "sha256"},
        "hashed_message": sha256(message).digest(),
    }
    fields = {"version": "v1", "message_imprint": imprint, "cert_req": cert_req}
    query = tsp.TimeStampReq(fields if nonce is None else fields | {"nonce": nonce})
    response = decode_timestamp_response(TSA.respond(query.dump(), NOW))
    assert VERIFIER.verify_message(response, message)
    assert response.tst_info.nonce == nonce
    assert response.tst_info.gen_time == datetime.fromtimestamp(NOW, UTC)


GOOD_QUERY = tsp.TimeStampReq(
    {
        "version": "v1",
        "message_imprint": {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": bytes(32),
        },
        "nonce": 5,
        "cert_req": True,
    }
).dump()


@given(st.binary(max_size=60) | st.just(GOOD_QUERY), st.data())
def test_any_bytes_as_timestamp_query(data, draw):
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, len(data)))
        data = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + 1 :]
    with suppress(ModelSealError):
        decode_timestamp_response(TSA.respond(data, NOW))


def good_entry():
    digest = sha256(b"x").digest()
    raw = KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    verifier = {
        "publicKey": {"rawBytes": b64encode(raw).decode()},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    content = b64encode(KEY.sign(b"x", ec.ECDSA(hashes.SHA256()))).decode()
    signature = {"content": content, "verifier": verifier}
    request = {"digest": b64encode(digest).decode(), "signature": signature}
    envelope = {"payload": "eA==", "payloadType": "t", "signatures": [{"sig": content}]}
    return {
        "hashedRekordRequestV002": request,
        "dsseRequestV002": {"envelope": envelope, "verifiers": [verifier]},
    }


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value)
    if isinstance(value, dict | list):
        for name, child in children:
            yield from places(child, (*path, name))


@given(st.sampled_from(["hashedRekordRequestV002", "dsseRequestV002"]), JSON, st.data())
def test_any_json_anywhere_in_an_entry(kind, junk, draw):
    request = {kind: json.loads(json.dumps(good_entry()[kind]))}
    path = draw.draw(st.sampled_from([p for p in places(request) if p]))
    at = request
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = junk
    try:
        entry = entries.parse_request(request)
    except ModelSealError:
        return
    assert json.loads(entry.body)["kind"] == entry.kind


@given(st.text(max_size=40))
def test_any_text_as_identity_fits_into_a_certificate(text):
    try:
        identity = tokens.parse_identity(text)
    except ModelSealError:
        return
    assert identity.value == text
    name = x509.RFC822Name if identity.is_email else x509.UniformResourceIdentifier
    assert name(text).value == text
