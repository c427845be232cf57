# SPDX-License-Identifier: Apache-2.0
"""Bundles signed at any hour: the services of an instance, called with a clock of our own."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.formats import dsse, intoto
from modelseal.instance import entries, services, state, tokens, trust
from modelseal.instance.database import Database
from modelseal.trust.trust_root import TrustRoot

if TYPE_CHECKING:
    from pathlib import Path

URL = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Forge:
    """Makes v0.3 bundles; times are seconds relative to now."""

    services: services.Services
    trust: TrustRoot

    def artifact(self, content: bytes, **times: float) -> dict:
        key, chain, stamp = self._signer(**times)
        signature = key.sign(content, ec.ECDSA(hashes.SHA256()))
        message = {
            "messageDigest": {"algorithm": "SHA2_256", "digest": _b64(sha256(content).digest())},
            "signature": _b64(signature),
        }
        digest = sha256(content).digest()
        return self._bundle(chain, signature, digest, stamp, {"messageSignature": message})

    def statement(self, payload: bytes, **times: float) -> dict:
        key, chain, stamp = self._signer(**times)
        message = dsse.pae(intoto.PAYLOAD_TYPE, payload)
        signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
        envelope = dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (dsse.Signature(signature, ""),))
        content = {"dsseEnvelope": dsse.to_dict(envelope)}
        return self._bundle(chain, signature, sha256(message).digest(), stamp, content)

    def stamp(self, signature: bytes, at: float = 0) -> dict:
        """Return the timestamp data of a bundle."""
        imprint = {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": sha256(signature).digest(),
        }
        query = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True})
        token = self.services.tsa.respond(query.dump(), time.time() + at)
        return {"rfc3161Timestamps": [{"signedTimestamp": _b64(token)}]}

    def _signer(self, certified: float = 0, stamped: float = 0):
        now = time.time()
        key = ec.generate_private_key(ec.SECP256R1())
        identity = tokens.parse_identity("alice@example.com")
        token = tokens.mint(
            self.services.state.keys.oidc, URL, identity, audience="sigstore", now=now + certified
        )
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        proof = key.sign(identity.value.encode(), ec.ECDSA(hashes.SHA256()))
        request = {
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
                "proofOfPossession": _b64(proof),
            }
        }
        chain = self.services.ca.sign(request, token, now + certified)
        return key, [x509.load_pem_x509_certificate(c.encode()) for c in chain], now + stamped

    def _bundle(self, chain, signature: bytes, digest: bytes, stamp: float, content: dict) -> dict:
        leaf = _b64(chain[0].public_bytes(serialization.Encoding.DER))
        entry = entries.parse_request(
            {
                "hashedRekordRequestV002": {
                    "digest": _b64(digest),
                    "signature": {
                        "content": _b64(signature),
                        "verifier": {
                            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                            "x509Certificate": {"rawBytes": leaf},
                        },
                    },
                }
            }
        )
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": leaf},
                "tlogEntries": [self.services.log.add(entry)],
                "timestampVerificationData": self.stamp(signature, stamp - time.time()),
            },
            **content,
        }


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def make_forge(data: Path) -> Forge:
    data.mkdir(parents=True)
    state.create(data, datetime.now(UTC))
    loaded = state.with_url(state.load(data), URL)
    assembled = services.assemble(loaded, Database(loaded.database), None)
    root = json.dumps(trust.trusted_root(loaded)).encode()
    return Forge(assembled, TrustRoot(root, "test root"))
