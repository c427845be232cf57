# SPDX-License-Identifier: Apache-2.0
"""What an instance answers to requests that stock clients do not make."""

from __future__ import annotations

import http.client
import socket
import threading
from base64 import b64decode, b64encode
from datetime import timedelta
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

import jwt
import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from patience import PATIENCE
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from modelseal.formats import checkpoint, merkle, note, sct, tiles

ENTRIES = "/api/v2/log/entries"
SIGNING = "/api/v2/signingCert"
TIMESTAMP = "/api/v1/timestamp"


@pytest.fixture
def client(instance, raw_client):
    return raw_client(instance.url)


def refused(answer, status, code=None):
    assert answer.status == status, answer
    assert answer.json.keys() >= {"code", "message"}
    assert "Traceback" not in answer.body.decode()
    if code is not None:
        assert answer.json["code"] == code


@pytest.mark.parametrize("path", [ENTRIES, SIGNING, TIMESTAMP])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":1,"a":2}', b"{}", b'{"a":NaN}',
        b"[" * 100_000, b'{"credentials":{"oidcIdentityToken":5}}', b"1" * 5000, b'{"a":"\\ud800"}',
        b'{"hashedRekordRequestV002":{}}', b'{"hashedRekordRequestV002":5}',
        b'{"dsseRequestV002":{"envelope":{},"verifiers":[]}}', b"\x30\x80", b"\x30\x03\x02\x01\x01",
    ],
)  # fmt: skip
def test_bodies_that_are_no_requests(client, path, body):
    answer = client.ask(path, body)
    assert answer.status in {400, 401}, answer
    refused(answer, answer.status)


@pytest.mark.parametrize("path", [ENTRIES, SIGNING, TIMESTAMP, "/token", "/auth"])
def test_a_body_that_is_too_large(client, path):
    refused(client.ask(path, b"a" * ((1 << 20) + 1)), 413, "too-large")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404), ("/99.root.json", "GET", 404), ("/01.root.json", "GET", 404),
        ("/targets/nothing", "GET", 404), ("/1.timestamp.json", "GET", 404),
        ("/tile/0/999", "GET", 404), ("/tile/0/../../etc", "GET", 404),
        ("/tile/0/000", "GET", 404), ("/tile/entries/x999/999/999", "GET", 404),
        (ENTRIES, "GET", 405), ("/checkpoint", "POST", 405), ("/keys", "DELETE", 405),
        ("/ct/ct/v1/get-entries?start=5&end=1", "GET", 400),
        ("/ct/ct/v1/get-entries?start=x", "GET", 400),
        ("/ct/ct/v1/get-sth-consistency?first=1&second=99999", "GET", 400),
        ("/ct/ct/v1/get-proof-by-hash?hash=AAAA&tree_size=1", "GET", 404),
        ("/ct/ct/v1/get-proof-by-hash?hash=%ff&tree_size=1", "GET", 400),
    ],
)  # fmt: skip
def test_paths_that_are_not_there(client, path, method, status):
    refused(client.ask(path, method=method), status)


def raw(instance, data):
    parts = urlsplit(instance.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01 hello TLS\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"POST /checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_not_even_http(instance, request_):
    answer = raw(instance, request_)
    assert answer.startswith(b"HTTP/1.1 4")
    assert b'"code"' in answer
    assert b"Traceback" not in answer


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", ""])
def test_a_name_that_was_rebound_to_this_machine_is_refused(instance, host):
    parts = urlsplit(instance.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    connection.putrequest("GET", "/keys", skip_host=True)
    connection.putheader("Host", host)
    connection.endheaders()
    assert connection.getresponse().status == 421
    connection.close()


def p1363(key, message):
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


KEYS = {
    "P-256": (lambda: ec.generate_private_key(ec.SECP256R1()), p1363),
    "P-384": (
        lambda: ec.generate_private_key(ec.SECP384R1()),
        lambda key, message: key.sign(message, ec.ECDSA(hashes.SHA384())),
    ),
    "P-521": (
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda key, message: key.sign(message, ec.ECDSA(hashes.SHA512())),
    ),
    "Ed25519": (ed25519.Ed25519PrivateKey.generate, lambda key, message: key.sign(message)),
    "RSA": (
        lambda: rsa.generate_private_key(65537, 2048),
        lambda key, message: key.sign(message, padding.PKCS1v15(), hashes.SHA256()),
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_certificates_for_every_kind_of_key(instance, client, kind):
    make, sign = KEYS[kind]
    leaf, intermediate, root = client.certificate(instance.token(), make(), sign=sign)
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(minutes=10)
    extensions = {e.oid.dotted_string: e for e in leaf.extensions}
    assert extensions["1.3.6.1.4.1.57264.1.1"].value.value == instance.issuer.encode()
    issuer = extensions["1.3.6.1.4.1.57264.1.8"].value.value
    assert issuer == bytes([0x0C, len(instance.issuer)]) + instance.issuer.encode()
    assert extensions["2.5.29.17"].critical
    assert leaf.subject == x509.Name([])


def test_the_certificate_is_in_the_ct_log_that_it_names(instance, client, p256):
    leaf, intermediate, _ = client.certificate(instance.token(), p256)
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
    raw_scts = leaf.extensions.get_extension_for_oid(oid).value.public_bytes()
    (promise,) = sct.parse_sct_list(raw_scts)
    issuer = intermediate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = sct.precert_leaf(
        promise.timestamp, sha256(issuer).digest(), leaf.tbs_precertificate_bytes
    )
    head = client.ask("/ct/ct/v1/get-sth").json
    hashed = merkle.leaf_hash(body)
    query = http_query(hash=b64encode(hashed).decode(), tree_size=head["tree_size"])
    proof = client.ask(f"/ct/ct/v1/get-proof-by-hash?{query}").json
    root = merkle.root_from_inclusion(
        hashed, proof["leaf_index"], head["tree_size"], list(map(b64decode, proof["audit_path"]))
    )
    assert b64encode(root).decode() == head["sha256_root_hash"]
    index = proof["leaf_index"]
    entries = client.ask(f"/ct/ct/v1/get-entries?start={index}&end={index}").json["entries"]
    assert b64decode(entries[0]["leaf_input"]) == body
    grown = client.certificate(instance.token(), p256) and client.ask("/ct/ct/v1/get-sth").json
    query = http_query(first=head["tree_size"], second=grown["tree_size"])
    proof = client.ask(f"/ct/ct/v1/get-sth-consistency?{query}").json["consistency"]
    assert merkle.is_consistent(
        head["tree_size"], b64decode(head["sha256_root_hash"]),
        grown["tree_size"], b64decode(grown["sha256_root_hash"]), list(map(b64decode, proof)),
    )  # fmt: skip


def http_query(**fields):
    return urlencode(fields)


def test_signing_requests_in_both_forms_only_with_proof(instance, client, p256):
    token = {"Authorization": f"Bearer {instance.token()}"}
    good = client.certificate_request(p256, "alice@example.com")
    assert client.ask(SIGNING, good, headers=token).status == 200
    in_body = good | {"credentials": {"oidcIdentityToken": instance.token()}}
    assert client.ask(SIGNING, in_body).status == 200
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mallory")]))
        .sign(p256, hashes.SHA256())
    )
    form = {
        "certificateSigningRequest": b64encode(
            csr.public_bytes(serialization.Encoding.PEM)
        ).decode()
    }
    answer = client.ask(SIGNING, form, headers=token)
    assert answer.status == 200
    chain = answer.json["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf = x509.load_pem_x509_certificate(chain[0].encode())
    assert leaf.subject == x509.Name([])  # what a request calls itself does not count

    refused(client.ask(SIGNING, good), 401, "no-token")
    refused(client.ask(SIGNING, good | form, headers=token), 400, "bad-request")
    other = client.certificate_request(p256, "mallory@example.com")
    refused(client.ask(SIGNING, other, headers=token), 400, "bad-proof")
    swapped = client.certificate_request(ec.generate_private_key(ec.SECP256R1()), "x")
    swapped["publicKeyRequest"]["publicKey"] = good["publicKeyRequest"]["publicKey"]
    refused(client.ask(SIGNING, swapped, headers=token), 400, "bad-proof")
    der = csr.public_bytes(serialization.Encoding.DER).replace(b"mallory", b"malmory")
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n%b\n-----END CERTIFICATE REQUEST-----\n"
    tampered = {"certificateSigningRequest": b64encode(pem % b64encode(der)).decode()}
    refused(client.ask(SIGNING, tampered, headers=token), 400, "bad-proof")
    good["publicKeyRequest"]["publicKey"]["content"] = "\ud800"
    refused(client.ask(SIGNING, good, headers=token), 400, "bad-key")
    refused(client.ask(SIGNING, {"credentials": {"oidcIdentityToken": "\ud800"}}), 401)


def test_keys_that_are_too_weak(instance, client):
    token = {"Authorization": f"Bearer {instance.token()}"}
    small = client.certificate_request(
        rsa.generate_private_key(65537, 1024), "alice@example.com", KEYS["RSA"][1]
    )
    refused(client.ask(SIGNING, small, headers=token), 400, "bad-key")
    koblitz = client.certificate_request(ec.generate_private_key(ec.SECP256K1()), "x")
    refused(client.ask(SIGNING, koblitz, headers=token), 400, "bad-key")


def test_tokens_that_are_not_ours(instance, client, p256):
    good = jwt.decode(instance.token(), options={"verify_signature": False})
    request = client.certificate_request(p256, "alice@example.com")
    forged = {
        "another kind of key": jwt.encode(good, p256, algorithm="ES256"),
        "another key": jwt.encode(
            good, rsa.generate_private_key(65537, 2048), algorithm="RS256"
        ),
        "no key": jwt.encode(good, None, algorithm="none"),
        "shared key": jwt.encode(good, "secret" * 8, algorithm="HS256"),
        "junk": "junk", "empty": "", "dots": "..",
        "cut short": instance.token()[:-1],
    }  # fmt: skip
    for token in forged.values():
        answer = client.ask(SIGNING, request, headers={"Authorization": f"Bearer {token}"})
        refused(answer, 401)


def test_an_entry_is_logged_once_and_only_with_a_good_signature(instance, client, p256):
    leaf = client.certificate(instance.token(), p256)[0]
    entry = client.entry(p256, leaf)
    assert client.ask(ENTRIES, entry).status == 201
    refused(client.ask(ENTRIES, entry), 409, "already-logged")
    other = client.entry(p256, leaf)
    other["hashedRekordRequestV002"]["digest"] = entry["hashedRekordRequestV002"]["digest"]
    refused(client.ask(ENTRIES, other), 400, "bad-signature")


def test_the_log_as_its_tiles_tell_it(instance, client, p256):
    leaf = client.certificate(instance.token(), p256)[0]
    old = read_checkpoint(client)
    entries = [client.ask(ENTRIES, client.entry(p256, leaf)).json for _ in range(5)]
    new = read_checkpoint(client)
    bodies, hashes_ = read_log(client, new.size)
    assert [merkle.leaf_hash(body) for body in bodies] == hashes_
    nodes = tree_of(hashes_)
    assert merkle.root(new.size, nodes) == new.root
    assert merkle.root(old.size, nodes) == old.root
    assert b'"kind":"genesis"' in bodies[0]
    for entry in entries:
        index, proof = int(entry["logIndex"]), entry["inclusionProof"]
        assert b64encode(bodies[index]).decode() == entry["canonicalizedBody"]
        seen = note.parse_note(proof["checkpoint"]["envelope"].encode())
        signed = checkpoint.parse_checkpoint(seen.text)
        root = merkle.root_from_inclusion(
            merkle.leaf_hash(bodies[index]), index, int(proof["treeSize"]),
            list(map(b64decode, proof["hashes"])),
        )  # fmt: skip
        assert root == signed.root == b64decode(proof["rootHash"])


def read_checkpoint(client):
    return checkpoint.parse_checkpoint(note.parse_note(client.ask("/checkpoint").body).text)


def read_log(client, size):
    bodies, hashes_ = [], []
    for index in range(-(-size // 256)):
        width = min(256, size - index * 256)
        path = tiles.format_path(tiles.Tile(None, index, width))
        bodies += tiles.parse_entries(client.ask(f"/{path}").body)
        path = tiles.format_path(tiles.Tile(0, index, width))
        data = client.ask(f"/api/v2/{path}").body
        hashes_ += [data[at : at + 32] for at in range(0, len(data), 32)]
    return bodies, hashes_


def tree_of(hashes_):
    known = {}
    for index, leaf in enumerate(hashes_):
        known.update(
            ((level, position), value)
            for level, position, value in list(
                merkle.completed_by(index, leaf, lambda *at: known[at])
            )
        )
    return lambda level, position: known[level, position]


def test_timestamps_verify_with_an_independent_client(instance, client):
    chain = x509.load_pem_x509_certificates(client.ask(f"{TIMESTAMP}/certchain").body)
    verifier = VerifierBuilder().tsa_certificate(chain[0]).add_root_certificate(chain[-1]).build()
    answers = []

    def ask(number):
        message = f"message {number}".encode()
        fields = {"cert_req": bool(number % 2)} | ({"nonce": number} if number % 3 else {})
        answers.append((message, client.timestamp(sha256(message).digest(), **fields)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    serials = set()
    for message, answer in answers:
        assert answer.status == 200
        response = decode_timestamp_response(answer.body)
        assert verifier.verify_message(response, message)
        serials.add(response.tst_info.serial_number)
    assert len(serials) == len(answers) == 12


@pytest.mark.parametrize(
    "fields",
    [
        {"version": "v2"}, {"req_policy": "1.2.3"}, {"nonce": 1 << 300},
        {"message_imprint": {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)}},
        {"message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": b"x"}},
        {"extensions": [{"extn_id": "1.2.3", "critical": True, "extn_value": b"x"}]},
    ],
)  # fmt: skip
def test_timestamps_that_are_not_given(client, fields):
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
    query = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint} | fields).dump()
    refused(client.ask(TIMESTAMP, query, kind="application/timestamp-query"), 400)
