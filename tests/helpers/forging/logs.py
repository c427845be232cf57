# SPDX-License-Identifier: Apache-2.0
"""Transparency logs of both versions, honest and not: bodies, proofs, checkpoints, promises."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from forging import issuing, keys

if TYPE_CHECKING:
    from collections.abc import Callable

LOGS = {  # name -> kind of key, host, origin of the checkpoint
    "v1": ("P256", "rekor.test", "rekor.test - 7"),
    "v2": ("Ed25519", "log.test", "log.test"),
    "v2-p256": ("P256", "log2.test", "log2.test"),
}
V2_HASHES = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
BEFORE, SIZE = 5, 9  # leaves before the entry, and in all
Body = dict[str, Any]
# What a bend meets that wants to bend what another took away: then it bends nothing.
GONE = (LookupError, TypeError, AttributeError, StopIteration)


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Log:
    name: str
    owner: str = "honest"

    @property
    def kind(self) -> str:
        return LOGS[self.name][0]

    @property
    def key(self) -> Any:
        return keys.key(self.kind, f"{self.owner} {self.name}")

    @property
    def log_id(self) -> bytes:
        if self.kind == "P256":
            return sha256(keys.spki(self.key)).digest()
        raw = self.key.public_key().public_bytes_raw()
        return sha256(LOGS[self.name][2].encode() + b"\n\x01" + raw).digest()

    def sign(self, message: bytes) -> bytes:
        return keys.sign(self.key, message)


@dataclass(frozen=True)
class Checkpoint:
    """The note of a log. None is what is right."""

    log: Log | None = None
    origin: str | None = None
    name: str | None = None
    key_hash: bytes | None = None
    size: str | None = None
    root: bytes | None = None
    extensions: str = ""
    before: tuple[str, ...] = ()  # lines of others' signatures
    after: tuple[str, ...] = ()
    signed_as: str | None = None  # another text under the signature
    line: str = "\u2014 {name} {blob}\n"

    def encode(self, log: Log, size: int, root: bytes) -> str:
        origin = LOGS[log.name][2] if self.origin is None else self.origin
        text = f"{origin}\n{self.size or size}\n{b64(self.root or root)}\n{self.extensions}"
        by = self.log or log
        signature = by.sign((self.signed_as or text).encode())
        name = LOGS[log.name][1] if self.name is None else self.name
        blob = b64((self.key_hash or by.log_id[:4]) + signature)
        own = self.line.format(name=name, blob=blob)
        return text + "\n" + "".join((*self.before, own, *self.after))


def cosignature(name: str, key_hash: bytes = b"\1\2\3\4", raw: bytes = b"x" * 72) -> str:
    return f"\u2014 {name} {b64(key_hash + raw)}\n"


@dataclass(frozen=True)
class Entry:
    """One entry: what is logged, and how the bundle tells of it."""

    kind: str
    version: str
    log: Log
    changes: tuple[Callable[[Body], Any], ...] = ()  # before it is logged
    spelled: Callable[[Body], bytes] = canonical
    said_kind: tuple[str, str] | None = None
    said_id: bytes | None = None
    index: int | None = None  # of the entry, where it is not that of the proof
    before: int = BEFORE
    size: int = SIZE
    promise: bool = False
    promise_by: Log | None = None
    promised: Callable[[Body], None] | None = None
    time: float | None = None  # integrated, in seconds from T0
    checkpoint: Checkpoint = Checkpoint()

    def encode(self, body: Body) -> dict[str, Any]:
        """Return the `TransparencyLogEntry`, in JSON."""
        for change in self.changes:
            with suppress(*GONE):
                change(body)
        leaf = self.spelled(body)
        tree = [b"leaf %d" % number for number in range(self.size)]
        tree[self.before] = leaf
        root = _root(tree)
        index = self.before if self.index is None else self.index
        entry = {
            "logIndex": str(index),
            "logId": {"keyId": b64(self.said_id or self.log.log_id)},
            "kindVersion": dict(
                zip(
                    ("kind", "version"), self.said_kind or (self.kind, self.version), strict=True
                )
            ),
            "integratedTime": str(self._seconds),
            "inclusionProof": {
                "logIndex": str(self.before), "rootHash": b64(root), "treeSize": str(self.size),
                "hashes": [b64(one) for one in _path(self.before, tree)],
                "checkpoint": {"envelope": self.checkpoint.encode(self.log, self.size, root)},
            },
            "canonicalizedBody": b64(leaf),
        }  # fmt: skip
        if self.promise:
            entry["inclusionPromise"] = {"signedEntryTimestamp": b64(self._promise(leaf, index))}
        return entry

    @property
    def _seconds(self) -> int:
        return 0 if self.time is None else int(issuing.at(self.time).timestamp())

    def _promise(self, leaf: bytes, index: int) -> bytes:
        said = {
            "body": b64(leaf), "integratedTime": self._seconds,
            "logID": self.log.log_id.hex(), "logIndex": index,
        }  # fmt: skip
        if self.promised:
            self.promised(said)
        return (self.promise_by or self.log).sign(canonical(said))


def _root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*_path(index, leaves[:half]), _root(leaves[half:])]
    return [*_path(index - half, leaves[half:]), _root(leaves[:half])]


@dataclass(frozen=True)
class Signed:
    """What a log is told: who signed what."""

    signature: bytes
    algorithm: str
    digest: bytes  # of the artifact, or of the PAE
    payload: bytes
    payload_type: str
    pem: bytes
    certificate: bytes
    details: str


def body(kind: str, version: str, signed: Signed) -> Body:
    """Return the honest body of an entry."""
    return {"apiVersion": version, "kind": kind, "spec": _SPECS[kind, version](signed)}


def _hashedrekord_v1(signed: Signed) -> Body:
    hashed = {"algorithm": signed.algorithm, "value": signed.digest.hex()}
    key = {"content": b64(signed.pem)}
    return {
        "data": {"hash": hashed},
        "signature": {"content": b64(signed.signature), "publicKey": key},
    }


def _payload_hash(signed: Signed) -> Body:
    return {"algorithm": "sha256", "value": sha256(signed.payload).hexdigest()}


def _dsse_v1(signed: Signed) -> Body:
    return {
        "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
        "payloadHash": _payload_hash(signed),
        "signatures": [{"signature": b64(signed.signature), "verifier": b64(signed.pem)}],
    }


def _intoto_v1(signed: Signed) -> Body:
    one = {"publicKey": b64(signed.pem), "sig": b64(b64(signed.signature).encode())}
    envelope = {"payloadType": signed.payload_type, "signatures": [one]}
    hashed = {"algorithm": "sha256", "value": "00" * 32}
    return {"content": {"envelope": envelope, "hash": hashed, "payloadHash": _payload_hash(signed)}}


def _signature_v2(signed: Signed) -> Body:
    certificate = {"rawBytes": b64(signed.certificate)}
    verifier = {"x509Certificate": certificate, "keyDetails": signed.details}
    return {"content": b64(signed.signature), "verifier": verifier}


def _hashedrekord_v2(signed: Signed) -> Body:
    data = {"algorithm": V2_HASHES[signed.algorithm], "digest": b64(signed.digest)}
    return {"hashedRekordV002": {"data": data, "signature": _signature_v2(signed)}}


def _dsse_v2(signed: Signed) -> Body:
    data = {"algorithm": "SHA2_256", "digest": b64(sha256(signed.payload).digest())}
    return {"dsseV002": {"payloadHash": data, "signatures": [_signature_v2(signed)]}}


_SPECS = {
    ("hashedrekord", "0.0.1"): _hashedrekord_v1, ("dsse", "0.0.1"): _dsse_v1,
    ("intoto", "0.0.2"): _intoto_v1, ("hashedrekord", "0.0.2"): _hashedrekord_v2,
    ("dsse", "0.0.2"): _dsse_v2,
}  # fmt: skip


def stranger(entry: Entry) -> Log:
    """Return the attacker's log of the same name."""
    return replace(entry.log, owner="attacker")
