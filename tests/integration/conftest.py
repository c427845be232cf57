# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from patience import PATIENCE


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(repr=False)

    @property
    def json(self):
        return json.loads(self.body)


@dataclass(frozen=True)
class RawClient:
    """The calls of a signing client, one by one, so that a test can bend any of them."""

    url: str

    def ask(self, path, body=None, *, kind="application/json", headers=None, method=None):
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, body, {"Content-Type": kind, **(headers or {})}, method=method
        )
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.read(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), dict(error.headers))

    def certificate_request(self, key, subject, sign=None):
        proof = (sign or ecdsa)(key, subject.encode())
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ANY", "content": pem.decode()},
                "proofOfPossession": b64encode(proof).decode(),
            }
        }

    def certificate(self, token, key, subject="alice@example.com", sign=None):
        answer = self.ask(
            "/api/v2/signingCert", self.certificate_request(key, subject, sign),
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert answer.status == 200, answer
        chain = answer.json["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        return [x509.load_pem_x509_certificate(pem.encode()) for pem in chain]

    def entry(self, key, certificate, digest=None):
        digest = digest or sha256(os.urandom(16)).digest()
        signature = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        return {
            "hashedRekordRequestV002": {
                "digest": b64encode(digest).decode(),
                "signature": {
                    "content": b64encode(signature).decode(),
                    "verifier": {
                        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                        "x509Certificate": {
                            "rawBytes": b64encode(
                                certificate.public_bytes(serialization.Encoding.DER)
                            ).decode()
                        },
                    },
                },
            }
        }

    def timestamp(self, digest, **fields):
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
        query = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, **fields})
        return self.ask("/api/v1/timestamp", query.dump(), kind="application/timestamp-query")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def ecdsa(key, message):
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


@pytest.fixture
def raw_client():
    return RawClient


@pytest.fixture
def p256():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def sigstore(tmp_path):
    """Run the stock client with a home folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "SIGSTORE_"))}
    environment |= {"HOME": str(home)}

    def run(*arguments, env=None, **options):
        return subprocess.run(
            [sys.executable, "-m", "sigstore", *map(str, arguments)],
            cwd=tmp_path, env=environment | (env or {}), capture_output=True,
            text=True, timeout=PATIENCE, check=False, **options,
        )  # fmt: skip

    return run


@pytest.fixture
def artifact(tmp_path):
    path = tmp_path / "artifact.bin"
    path.write_bytes(os.urandom(64))
    return path
