# SPDX-License-Identifier: Apache-2.0
"""Whole bundles, with the trusted root that they are to be verified against."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from forging import issuing, keys
from forging.issuing import Leaf
from forging.logs import GONE, LOGS, V2_HASHES, Entry, Log, Signed, b64, body
from forging.stamping import Stamp
from modelseal.trust.trust_root import TrustRoot

ARTIFACT = b"weights"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
PAYLOAD = json.dumps({
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "w", "digest": {"sha256": hashlib.sha256(ARTIFACT).hexdigest()}}],
    "predicateType": "https://example.com/predicate", "predicate": {},
}).encode()  # fmt: skip
if TYPE_CHECKING:
    from collections.abc import Callable

_OLD = "application/vnd.dev.sigstore.bundle+json;version="
MEDIA = {"0.3": "application/vnd.dev.sigstore.bundle.v0.3+json", "0.1": _OLD + "0.1",
         "0.2": _OLD + "0.2", "0.3 old": _OLD + "0.3"}  # fmt: skip
Json = dict[str, Any]
_LEAF = Leaf()


@dataclass(frozen=True)
class Made:
    """Everything about one bundle; `root` and `bundle` change what was made of it in the end."""

    what: str
    entry: Entry
    leaf: Leaf = _LEAF
    stamps: tuple[Stamp, ...] = ()
    media: str = "0.3"
    owner: str = "alice"  # of the key that signs
    signer: str = "alice"  # whose key is in the certificate
    algorithm: str | None = None
    artifact: bytes = ARTIFACT
    payload: bytes = PAYLOAD
    payload_type: str = PAYLOAD_TYPE
    signed: Callable[[bytes], bytes] | None = None  # another message than the right one
    spoiled: Callable[[bytes], bytes] | None = None  # of the signature, before it is logged
    root: tuple[Callable[[Json], None], ...] = ()
    bundle: tuple[Callable[[Json], None], ...] = ()

    def build(self) -> Case:
        kind = self.leaf.kind
        algorithm = self.algorithm or keys.HASHES[kind] or "sha256"
        message = self.artifact if self.what == "artifact" else self._pae()
        signature = keys.sign(
            keys.key(kind, self.owner), self.signed(message) if self.signed else message, algorithm
        )
        if self.spoiled:
            signature = self.spoiled(signature)
        certificate = self.leaf.issue(self.signer)
        signed = Signed(
            signature, algorithm, hashlib.new(algorithm, message).digest(), self.payload,
            self.payload_type,
            x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM), certificate,
            keys.DETAILS[kind],
        )  # fmt: skip
        entry = self.entry.encode(body(self.entry.kind, self.entry.version, signed))
        made = {
            "mediaType": MEDIA[self.media],
            "verificationMaterial": self._material(certificate, entry, signature),
            **self._content(signed),
        }
        root = trusted_root()
        for changes, whole in ((self.bundle, made), (self.root, root)):
            for change in changes:
                with suppress(*GONE):
                    change(whole)
        return Case(made, root, self.what)

    def _pae(self) -> bytes:
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(self.payload), self.payload)

    def _material(self, certificate: bytes, entry: Json, signature: bytes) -> Json:
        one = {"rawBytes": b64(certificate)}
        material: Json = {"tlogEntries": [entry]}
        if self.media in {"0.1", "0.2"}:
            material["x509CertificateChain"] = {"certificates": [one]}
        else:
            material["certificate"] = one
        if self.stamps:
            stamps = [{"signedTimestamp": b64(s.encode(signature))} for s in self.stamps]
            material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        return material

    def _content(self, signed: Signed) -> Json:
        if self.what == "artifact":
            noted = {"algorithm": V2_HASHES[signed.algorithm], "digest": b64(signed.digest)}
            message = {"messageDigest": noted, "signature": b64(signed.signature)}
            return {"messageSignature": message}
        return {
            "dsseEnvelope": {
                "payload": b64(self.payload), "payloadType": self.payload_type,
                "signatures": [{"sig": b64(signed.signature)}],
            }
        }  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A bundle and its trusted root as JSON, and what it signs."""

    bundle: Json
    root: Json
    what: str

    @property
    def data(self) -> bytes:
        return json.dumps(self.bundle).encode()

    @property
    def trust(self) -> TrustRoot:
        return TrustRoot(json.dumps(self.root).encode(), "forged root")


def trusted_root() -> Json:
    """Return a root that trusts what is honest."""
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log_key(Log(name), f"https://{LOGS[name][1]}") for name in LOGS],
        "ctlogs": [ct_key("honest"), ct_key("second")],
        "certificateAuthorities": [authority("honest", "ca")],
        "timestampAuthorities": [authority("honest", "tsa"), authority("second", "tsa")],
    }


def log_key(log: Log, url: str) -> Json:
    return _key(log.key, log.kind, url, log.log_id)


def ct_key(owner: str, kind: str = "P256") -> Json:
    key = keys.key(kind, f"{owner} ct")
    return _key(key, kind, "https://ct.test", hashlib.sha256(keys.spki(key)).digest())


def _key(key: Any, kind: str, url: str, log_id: bytes) -> Json:
    return {
        "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(log_id)},
        "publicKey": {
            "rawBytes": b64(keys.spki(key)), "keyDetails": keys.DETAILS[kind], "validFor": period(),
        },
    }  # fmt: skip


def authority(owner: str, purpose: str, **shape: Any) -> Json:
    chain = issuing.ca(owner, purpose, **shape).chain
    certificates = [{"rawBytes": b64(one.public_bytes(Encoding.DER))} for one in chain]
    subject = {"organization": "test", "commonName": purpose}
    return {
        "uri": f"https://{purpose}.test", "subject": subject, "validFor": period(),
        "certChain": {"certificates": certificates},
    }  # fmt: skip


def period(start: float = -86400, end: float | None = None) -> Json:
    """Return a period of trust in seconds from T0."""
    found = {"start": issuing.at(start).isoformat().replace("+00:00", "Z")}
    if end is not None:
        found["end"] = issuing.at(end).isoformat().replace("+00:00", "Z")
    return found


_V1, _V2, _V2_P256 = Log("v1"), Log("v2"), Log("v2-p256")
_STAMPS = (Stamp(),)


def _v1(what: str, kind: str, version: str, **more: Any) -> Made:
    entry = Entry(kind, version, _V1, promise=True, time=5, index=41)
    return Made(what, entry, **more)


def _v2(what: str, kind: str, log: Log = _V2, **more: Any) -> Made:
    return Made(what, Entry(kind, "0.0.2", log), stamps=_STAMPS, **more)


_P384 = Leaf(kind="P384")
KINDS: dict[str, Made] = {
    "artifact v2": _v2("artifact", "hashedrekord"),
    "statement v2": _v2("statement", "hashedrekord"),
    "artifact v2 P-256 log": _v2("artifact", "hashedrekord", _V2_P256),
    "statement v2 dsse": _v2("statement", "dsse"),
    "artifact v1": _v1("artifact", "hashedrekord", "0.0.1"),
    "statement v1": _v1("statement", "dsse", "0.0.1"),
    "statement v1 intoto": _v1("statement", "intoto", "0.0.2"),
    "statement v1 hashedrekord": _v1("statement", "hashedrekord", "0.0.1"),
    "artifact 0.1": _v1("artifact", "hashedrekord", "0.0.1", media="0.1"),
    "statement 0.2": _v1("statement", "dsse", "0.0.1", media="0.2"),
    "artifact v1 with timestamps": _v1(
        "artifact", "hashedrekord", "0.0.1", stamps=(Stamp(), Stamp("second", at=6))
    ),
    "artifact v1 without promise": replace(
        _v1("artifact", "hashedrekord", "0.0.1", stamps=_STAMPS),
        entry=Entry("hashedrekord", "0.0.1", _V1, index=41, time=5),
    ),
    "artifact v2, several timestamps": replace(
        _v2("artifact", "hashedrekord"), stamps=(Stamp(), Stamp(at=7), Stamp("second", at=9))
    ),
    "artifact v2 by P-384": _v2("artifact", "hashedrekord", leaf=_P384),
    "statement v1 by P-384": _v1("statement", "dsse", "0.0.1", leaf=_P384),
}
# Kinds that sigstore-python cannot read (docs/verification.md, "We accept what it refuses").
OURS_ONLY = {
    "statement v2 dsse", "statement v1 intoto", "statement v1 hashedrekord",
    "artifact v2 by P-384", "statement v1 by P-384",
}  # fmt: skip
