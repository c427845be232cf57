# SPDX-License-Identifier: Apache-2.0
"""A transparency log of version 1 for clients that write: no instance of ours has one any more.

It checks a signature, stores the entry in the form in which sigstore/rekor does, grows a tree, and
signs what that log signs: checkpoint and promise (sigstore/rekor, openapi.yaml).
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from small_server import Asked, Said, serving

from modelseal.formats import checkpoint, dsse, merkle, note
from modelseal.instance import client_keys

NAME, ORIGIN = "rekor-v1.test", "rekor-v1.test - 7"


class LogV1:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._spki = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._id = sha256(self._spki).digest()
        self._leaves = [merkle.leaf_hash(b"genesis")]
        self._bodies: set[bytes] = set()

    def serve(self):
        return serving(self.answer)

    def answer(self, asked: Asked) -> Said:
        if asked.path != "/api/v1/log/entries":
            return Said(b'{"code": 404, "message": "no such path"}', 404)
        try:
            body = _canonical(_stored(json.loads(asked.body)))
        except (InvalidSignature, KeyError, ValueError) as error:
            message = {"code": 400, "message": f"{type(error).__name__}"}
            return Said(json.dumps(message).encode(), 400)
        if body in self._bodies:
            return Said(b'{"code": 409, "message": "an equivalent entry already exists"}', 409)
        self._bodies.add(body)
        return Said(json.dumps(self._added(body)).encode(), 201)

    def _added(self, body: bytes) -> dict[str, Any]:
        index = len(self._leaves)
        self._leaves.append(merkle.leaf_hash(body))
        size = index + 1
        root = merkle.root(size, self._node)
        entry = {
            "body": _b64(body), "integratedTime": int(time.time()), "logID": self._id.hex(),
            "logIndex": index,
        }  # fmt: skip
        text = checkpoint.format_checkpoint(checkpoint.Checkpoint(ORIGIN, size, root))
        signed = note.Signature(NAME, self._id[:4], self._sign(text.encode()))
        proof = {
            "checkpoint": note.format_note(note.Note(text, (signed,))).decode(),
            "hashes": [h.hex() for h in merkle.inclusion_proof(index, size, self._node)],
            "logIndex": index, "rootHash": root.hex(), "treeSize": size,
        }  # fmt: skip
        promise = _b64(self._sign(_canonical(entry)))
        entry["verification"] = {"inclusionProof": proof, "signedEntryTimestamp": promise}
        return {f"{7:016x}{self._leaves[index].hex()}": entry}

    def _node(self, level: int, position: int) -> bytes:
        if level == 0:
            return self._leaves[position]
        return merkle.node_hash(
            self._node(level - 1, 2 * position), self._node(level - 1, 2 * position + 1)
        )

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(hashes.SHA256()))

    def config(self, url: str, trust_config: dict[str, Any]) -> dict[str, Any]:
        """Return `trust_config` with this log, at `url`, as the only one."""
        start = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        known = {
            "baseUrl": f"https://{NAME}", "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _b64(self._spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": start},
            },
            "logId": {"keyId": _b64(self._id)},
        }  # fmt: skip
        service = {
            "url": url, "majorApiVersion": 1, "validFor": {"start": start}, "operator": NAME,
        }  # fmt: skip
        root = trust_config["trustedRoot"] | {"tlogs": [known]}
        services = trust_config["signingConfig"] | {"rekorTlogUrls": [service]}
        return trust_config | {"trustedRoot": root, "signingConfig": services}


def _stored(proposed: dict[str, Any]) -> dict[str, Any]:
    """Return the entry that the log keeps, having checked its signature."""
    spec = proposed["spec"]
    if proposed["kind"] == "hashedrekord":
        hashed, signature = spec["data"]["hash"], spec["signature"]
        _check(signature["publicKey"]["content"], signature["content"], hashed)
        return proposed
    envelope, (verifier,) = (spec["proposedContent"][k] for k in ("envelope", "verifiers"))
    read = dsse.parse(json.loads(envelope))
    (one,) = read.signatures
    _check(verifier, _b64(one.sig), dsse.pae(read.payload_type, read.payload))
    kept = {
        "envelopeHash": _hash(envelope.encode()),
        "payloadHash": _hash(read.payload),
        "signatures": [{"signature": _b64(one.sig), "verifier": verifier}],
    }
    return proposed | {"spec": kept}


def _check(verifier: str, signature: str, signed: dict[str, str] | bytes) -> None:
    pem = b64decode(verifier)
    if b"CERTIFICATE" in pem:
        key = client_keys.accepted(x509.load_pem_x509_certificate(pem).public_key())
    else:
        key = client_keys.load_pem(pem)
    if isinstance(signed, bytes):
        client_keys.verify_message(key, b64decode(signature), signed)
        return
    algorithm = next(iter(client_keys.algorithms(key).values()))
    if algorithm.digest is None or algorithm.digest.name != signed["algorithm"]:
        raise ValueError("another hash")
    digest = bytes.fromhex(signed["value"])
    client_keys.verify_digest(key, algorithm, b64decode(signature), digest)


def _hash(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": sha256(data).hexdigest()}


def _canonical(obj: object) -> bytes:
    return json.dumps(obj, sort_keys=True, separators=(",", ":")).encode()


def _b64(data: bytes) -> str:
    return b64encode(data).decode()
