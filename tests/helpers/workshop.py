# SPDX-License-Identifier: Apache-2.0
"""Bundles of every kind: logs of both versions, every client key, made in this process."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass
from hashlib import new, sha256
from typing import TYPE_CHECKING, Any

from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from modelseal.formats import checkpoint, dsse, intoto, merkle, note
from modelseal.instance import entries, tokens
from modelseal.trust.trust_root import TrustRoot

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.instance.services import Services

ARTIFACT = b"weights"
SUBJECT = intoto.Subject("a.txt", (("sha256", sha256(ARTIFACT).hexdigest()),))
PAYLOAD = intoto.to_bytes(intoto.Statement((SUBJECT,), "https://example.com/predicate", {}))

KEYS = {
    "P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}
_HASHES = {"P256": "sha256", "P384": "sha384", "P521": "sha512", "RSA": "sha256"}
_DETAILS = {
    "P256": "PKIX_ECDSA_P256_SHA_256", "P384": "PKIX_ECDSA_P384_SHA_384",
    "P521": "PKIX_ECDSA_P521_SHA_512", "RSA": "PKIX_RSA_PKCS1V15_2048_SHA256",
}  # fmt: skip
_V2_HASHES = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}

# What is signed, and as which kind of entry it is logged.
KINDS = (
    ("artifact", "hashedrekord", "0.0.2"), ("statement", "hashedrekord", "0.0.2"),
    ("statement", "dsse", "0.0.2"), ("artifact", "hashedrekord", "0.0.1"),
    ("statement", "hashedrekord", "0.0.1"), ("statement", "dsse", "0.0.1"),
    ("statement", "intoto", "0.0.2"),
)  # fmt: skip


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def canonical(obj: object) -> bytes:
    return json.dumps(obj, sort_keys=True, separators=(",", ":")).encode()


class LogV1:
    """A Rekor version 1 log of one leaf, as often as it is asked."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.spki = self.key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        self.log_id = sha256(self.spki).digest()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(hashes.SHA256()))

    def checkpoint(self, body: bytes, *others: note.Signature, origin="rekor.test - 7") -> str:
        text = checkpoint.format_checkpoint(
            checkpoint.Checkpoint(origin, 1, merkle.leaf_hash(body))
        )
        signed = note.Signature("rekor.test", self.log_id[:4], self.sign(text.encode()))
        return note.format_note(note.Note(text, (*others, signed))).decode()

    def entry(self, kind: str, version: str, body: bytes, at: int) -> dict[str, Any]:
        promised = {
            "body": b64(body), "integratedTime": at, "logID": self.log_id.hex(), "logIndex": 41,
        }  # fmt: skip
        return {
            "logIndex": "41",
            "logId": {"keyId": b64(self.log_id)},
            "kindVersion": {"kind": kind, "version": version},
            "integratedTime": str(at),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.sign(canonical(promised)))},
            "inclusionProof": {
                "logIndex": "0", "rootHash": b64(merkle.leaf_hash(body)), "treeSize": "1",
                "hashes": [], "checkpoint": {"envelope": self.checkpoint(body)},
            },
            "canonicalizedBody": b64(body),
        }  # fmt: skip

    def trusted(self, start: datetime, end: datetime | None = None) -> dict[str, Any]:
        period = {"start": start.isoformat()} | ({"end": end.isoformat()} if end else {})
        return {
            "baseUrl": "https://rekor.test",
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": b64(self.spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": period,
            },
            "logId": {"keyId": b64(self.log_id)},
        }  # fmt: skip


@dataclass(frozen=True)
class Workshop:
    """Makes bundles as JSON objects; times are seconds relative to now."""

    services: Services
    root: dict[str, Any]
    log_v1: LogV1

    @property
    def trust(self) -> TrustRoot:
        return TrustRoot(json.dumps(self.root).encode(), "test root")

    def certificate(self, name: str, key: Any, certified: float = 0) -> bytes:
        now = time.time() + certified
        identity = tokens.parse_identity("alice@example.com")
        url = "http://127.0.0.1:1"
        token = tokens.mint(
            self.services.state.keys.oidc, url, identity, audience="sigstore", now=now
        )
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        proof = signed(name, key, identity.value.encode())
        request = {
            "publicKey": {
                "algorithm": "RSA" if name == "RSA" else "ECDSA",
                "content": pem.decode(),
            },
            "proofOfPossession": b64(proof),
        }
        chain = self.services.ca.sign({"publicKeyRequest": request}, token, now)
        return x509.load_pem_x509_certificate(chain[0].encode()).public_bytes(Encoding.DER)

    def stamp(self, signature: bytes, at: float = 0) -> dict[str, Any]:
        imprint = {
            "hash_algorithm": {"algorithm": "sha256"},
            "hashed_message": sha256(signature).digest(),
        }
        query = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "cert_req": True})
        token = self.services.tsa.respond(query.dump(), time.time() + at)
        return {"rfc3161Timestamps": [{"signedTimestamp": b64(token)}]}

    def bundle(
        self, what: str, kind: str, version: str, name: str = "P256", *, managed: Any = None,
        certified: float = 0, stamped: float = 0, artifact: bytes = ARTIFACT,
        payload: bytes = PAYLOAD,
    ) -> dict[str, Any]:  # fmt: skip
        """Return a bundle by a new certificate, or by the key `managed`."""
        key = managed or KEYS[name]()
        certificate = None if managed else self.certificate(name, key, certified)
        message = artifact if what == "artifact" else dsse.pae(intoto.PAYLOAD_TYPE, payload)
        signature = signed(name, key, message)
        digest = new(_HASHES[name], message).digest()
        verifier = Verifier(key, certificate, _DETAILS[name])
        v2 = (kind, version) in {("hashedrekord", "0.0.2"), ("dsse", "0.0.2")}
        if v2:
            entry = self._v2(kind, signature, digest, verifier, payload)
        else:
            hashed = {"algorithm": _HASHES[name], "value": digest.hex()}
            body = v1_body(kind, signature, hashed, verifier.pem, payload)
            entry = self.log_v1.entry(
                kind, version, canonical(body), int(time.time() + certified + stamped)
            )
        material: dict[str, Any] = {"tlogEntries": [entry]}
        if certificate is None:
            material["publicKey"] = {"hint": "a key"}
        else:
            material["certificate"] = {"rawBytes": b64(certificate)}
        if v2:
            material["timestampVerificationData"] = self.stamp(signature, certified + stamped)
        if what == "artifact":
            content: dict[str, Any] = {
                "messageSignature": {
                    "messageDigest": {
                        "algorithm": _V2_HASHES[_HASHES[name]], "digest": b64(digest),
                    },
                    "signature": b64(signature),
                }
            }  # fmt: skip
        else:
            envelope = dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (dsse.Signature(signature),))
            content = {"dsseEnvelope": dsse.to_dict(envelope)}
        media_type = "application/vnd.dev.sigstore.bundle.v0.3+json"
        return {"mediaType": media_type, "verificationMaterial": material, **content}

    def _v2(self, kind, signature: bytes, digest: bytes, verifier: Verifier, payload: bytes):
        if kind == "dsse":
            envelope = dsse.Envelope(payload, intoto.PAYLOAD_TYPE, (dsse.Signature(signature),))
            request = {
                "dsseRequestV002": {
                    "envelope": dsse.to_dict(envelope), "verifiers": [verifier.as_json],
                }
            }  # fmt: skip
        else:
            request = {
                "hashedRekordRequestV002": {
                    "digest": b64(digest),
                    "signature": {"content": b64(signature), "verifier": verifier.as_json},
                }
            }
        return self.services.log.add(entries.parse_request(request))


@dataclass(frozen=True)
class Verifier:
    """The signer as the log has it."""

    key: Any
    certificate: bytes | None
    details: str

    @property
    def as_json(self) -> dict[str, Any]:
        if self.certificate is not None:
            form = {"x509Certificate": {"rawBytes": b64(self.certificate)}}
        else:
            raw = self.key.public_key().public_bytes(
                Encoding.DER, PublicFormat.SubjectPublicKeyInfo
            )
            form = {"publicKey": {"rawBytes": b64(raw)}}
        return {"keyDetails": self.details, **form}

    @property
    def pem(self) -> bytes:
        if self.certificate is not None:
            return x509.load_der_x509_certificate(self.certificate).public_bytes(Encoding.PEM)
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signed(name: str, key: Any, message: bytes) -> bytes:
    algorithm = getattr(hashes, _HASHES[name].upper())()
    if name == "RSA":
        return key.sign(message, padding.PKCS1v15(), algorithm)
    return key.sign(message, ec.ECDSA(algorithm))


def v1_body(kind, signature: bytes, data: dict[str, str], pem: bytes, payload: bytes):
    hashed = {"algorithm": "sha256", "value": sha256(payload).hexdigest()}
    if kind == "hashedrekord":
        spec = {
            "data": {"hash": data},
            "signature": {"content": b64(signature), "publicKey": {"content": b64(pem)}},
        }
        return {"apiVersion": "0.0.1", "kind": kind, "spec": spec}
    if kind == "dsse":
        spec = {
            "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": hashed,
            "signatures": [{"signature": b64(signature), "verifier": b64(pem)}],
        }
        return {"apiVersion": "0.0.1", "kind": kind, "spec": spec}
    one = {"publicKey": b64(pem), "sig": b64(b64(signature).encode())}
    spec = {
        "content": {
            "envelope": {"payloadType": intoto.PAYLOAD_TYPE, "signatures": [one]},
            "hash": {"algorithm": "sha256", "value": "00" * 32},
            "payloadHash": hashed,
        }
    }
    return {"apiVersion": "0.0.2", "kind": kind, "spec": spec}
