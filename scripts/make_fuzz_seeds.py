# SPDX-License-Identifier: Apache-2.0
"""Write the first inputs of tests/fuzz/corpus: real ones, taken apart."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from base64 import b64decode
from pathlib import Path
from urllib.parse import urlencode

from asn1crypto import tsp
from cryptography import x509

from modelseal.formats import bundle, dsse, note, trusted_root
from modelseal.formats.strict import b64encode
from modelseal.trust import embedded as roots

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from forging import bundles as forged  # noqa: E402 - found by the line above
from forging import issuing, keys, stamping  # noqa: E402 - as above

VECTORS = ROOT / "tests" / "vectors"
POLICY = """version = 1
default = "deny"
[trust]
root = "trusted_root.json"
verifier = "both"
[signers.release]
identity = "alice@example.com"
issuer = "https://issuer.example"
[[rule]]
models = ["*"]
signers = ["release"]
"""
FULL_POLICY = """version = 1
default = "deny"
[signers.ci]
github = { repository = "a/b", workflow = "c.yml", ref = ["refs/tags/v*"], trigger = "push" }
[signers.glob]
identity_glob = "https://h/o/**"
issuer = "https://issuer.example"
[signers.regex]
identity_regex = 'https://h/o/[a-z]+'
issuer = "https://issuer.example"
[[rule]]
models = ["*"]
signers = ["ci", "glob", "regex"]
threshold = 2
allow_ignored = ["*.md"]
ignore_unsigned = [".cache/"]
symlinks = "deny"
formats = ["safetensors"]
max_age = "90d"
not_before = 2026-01-01
not_after = 2026-01-01T00:00:00Z
digests = ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]
rollback = "deny"
mode = "warn"
[[revoked]]
reason = "x"
signer = "ci"
log_index = 1
[mlserver]
runtimes = ["a.B"]
model_code = ["own-*"]
on_revoked = "report"
on_refused_reload = "unload"
"""
JSON_POLICY = """{"version": 1, "default": "deny",
"signers": {"a": {"identity": "b", "issuer": "c"}},
"rule": [{"models": ["*"], "signers": ["a"], "not_before": "2026-01-01"}]}"""


def seeds() -> dict[str, list[bytes]]:
    raw = [
        (VECTORS / "model-signing" / "v1.1.0" / "model.sig").read_bytes(),
        (VECTORS / "sigstore-python" / "v0.1.sigstore").read_bytes(),
    ]
    by_key = VECTORS / "model-signing" / "v1.0.0-key" / "model.sig"
    old = VECTORS / "model-signing" / "v0.2.0-certificate" / "model.sig"
    raw += [by_key.read_bytes(), old.read_bytes()]
    conformance = VECTORS / "conformance" / "intoto-canonical-log-entry" / "bundle.sigstore.json"
    bundles = [bundle.parse(data) for data in (*raw, conformance.read_bytes())]
    proofs = [b.entries[0].proof for b in bundles if b.entries]
    checkpoints = [proof.checkpoint.encode() for proof in proofs if proof.checkpoint]
    payloads = [b.content.payload for b in bundles if isinstance(b.content, dsse.Envelope)]
    made = [kind.build().bundle for kind in forged.KINDS.values()]
    written = [one["verificationMaterial"]["tlogEntries"][0] for one in made]
    certificates = [b.certificates[0] for b in bundles if b.certificates]
    root = roots.embedded(roots.PUBLIC_GOOD)
    scts = [transparency(der) for der in certificates[:2]]
    return {
        "base64": [b64encode(certificates[0][:33]).encode()],
        "bundle": raw,
        "certificate": certificates,
        "checkpoint": [note.parse_note(data).text.encode() for data in checkpoints],
        "json": [b'{"a": [1, -2.5e3, "\\u00e9", null, true], "b": {}}'],
        "key": [log.key for log in trusted_root.parse(root).logs],
        "log-body": [b64decode(entry["canonicalizedBody"]) for entry in written],
        "note": checkpoints,
        "policy": [POLICY.encode(), FULL_POLICY.encode(), JSON_POLICY.encode()],
        "sct": scts,
        "statement": payloads,
        "timestamp": [*bundles[0].timestamps, stamping.Stamp(accuracy=1, nonce=7).encode(b"x")],
        "trusted-root": [root],
        "verify": raw,
        **further(payloads, raw, made, root),
        **of_the_instance(certificates),
    }


def further(payloads: list[bytes], raw: list[bytes], made: list, root: bytes) -> dict:
    """Return the seeds of what is smaller."""
    tensor = {"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "__metadata__": {}}
    header = json.dumps(tensor).encode()
    settings = {
        "name": "name", "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "extra": {}},
    }  # fmt: skip
    listed = {"name": "a", "sha256": "00" * 32}
    known = {"version": 1, "model": "/model", "files": {"a": ["sha256 None 1 2 3 4 5", ["00"]]}}
    pem = keys.serialization.PublicFormat.SubjectPublicKeyInfo
    return {
        "certificate-der": [b"0"],
        "content": [b'{"a": 1}', b"GGUF\x03\0\0\0", bytes([2, 0, 0, 0, 0, 0, 0, 0]) + b"{}"],
        "timestamp-der": [b"0"],
        "differential": [bytes(range(64)), bytes(64), b"\xff" * 64],
        "digest-manifest": [json.dumps({"files": [listed]}).encode()],
        "dsse": [json.dumps(one["dsseEnvelope"]).encode() for one in made if "dsseEnvelope" in one],
        "gguf": [gguf()],
        "inspect": raw,
        "key-pem": [
            keys.key(kind, "seed").public_key().public_bytes(keys.serialization.Encoding.PEM, pem)
            for kind in ("P256", "P384", "Ed25519")
        ],
        "kinds": [
            b'{"base64Signature": "MEUC", "cert": "LS0t", "rekorBundle": {}}',
            b'{"verificationMaterial": {}}\n{"verificationMaterial": {}}\n',
            b'{"error": "Not Found", "status": 404}',
            b"-----BEGIN PGP SIGNATURE-----\n",
            b64encode(b"-----BEGIN CERTIFICATE-----\n").encode(),
            b"0\x08\x02\x02\x01\x02\x02\x02\x01\x02",
            b"\x89\x02\x33\x04\x00",
            b"version https://git-lfs.github.com/spec/v1\n",
            b"<!doctype html>",
        ],
        "managed": raw,
        "npy": [npy()],
        "npz": [npz(npy())],
        "pkcs11-uri": [b"pkcs11:token=a;object=%41;id=%01%02?module-path=/lib/x.so&pin-source=/p"],
        "proof": [(5).to_bytes(8, "big") + (9).to_bytes(8, "big") + bytes(range(128))],
        "safetensors": [len(header).to_bytes(8, "little") + header + b"0123"],
        "settings": [
            json.dumps(settings).encode(),
            b'{"name": "name", "implementation": ""}',
            json.dumps(settings | {"parameters": {"uri": "//["}}).encode(),  # no URL: ValueError
        ],
        "shown": ["a\u202eb\n\x1b[31m\ud7ff".encode()],
        "stat-cache": [json.dumps(known).encode()],
        "subject": payloads,
        "tile": [b"tile/0/x001/234.p/5", b"tile/entries/000", b"\0\3abc\0\0"],
        "trust-config": [json.dumps({"trustedRoot": json.loads(root)}).encode()],
        "tuf-timestamp": [b'{"signed": {"expires": "2030-01-01T00:00:00Z"}, "signatures": []}'],
    }


def gguf() -> bytes:
    """Return a file of one key and one tensor, both numbers of four bytes."""

    def text(value: bytes) -> bytes:
        return len(value).to_bytes(8, "little") + value

    numbers = [number.to_bytes(8, "little") for number in (1, 1)]
    key = text(b"general.alignment") + (4).to_bytes(4, "little") + (32).to_bytes(4, "little")
    shape = (1).to_bytes(4, "little") + (1).to_bytes(8, "little")
    tensor = text(b"t") + shape + (0).to_bytes(4, "little") + (0).to_bytes(8, "little")
    head = b"GGUF" + (3).to_bytes(4, "little") + b"".join(numbers) + key + tensor
    return head + bytes(-len(head) % 32) + b"0123" + bytes(28)


def npy() -> bytes:
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n"
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + b"0123"


def npz(array: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.npy"), array)
    return file.getvalue()


def of_the_instance(certificates: list[bytes]) -> dict[str, list[bytes]]:
    """Return the seeds of its requests."""
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": bytes(32)}
    query = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint, "nonce": 1})
    signature = keys.sign(keys.key("P256", "seed"), b"x")
    raw_key = {"rawBytes": b64encode(keys.spki(keys.key("P256", "seed")))}
    verifier = {"publicKey": raw_key, "keyDetails": keys.DETAILS["P256"]}
    certificate = {"rawBytes": b64encode(certificates[0])}
    by_certificate = {"x509Certificate": certificate, "keyDetails": keys.DETAILS["P256"]}
    hashed = {
        "digest": b64encode(issuing.sha256(b"x").digest()),
        "signature": {"content": b64encode(signature), "verifier": verifier},
    }
    envelope = {"payload": "eA==", "payloadType": "t", "signatures": [{"sig": "eA=="}]}
    pem = (
        keys.key("P256", "seed")
        .public_key()
        .public_bytes(
            keys.serialization.Encoding.PEM, keys.serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    sign_in = {
        "response_type": "code", "client_id": "sigstore", "redirect_uri": "http://localhost:1/x",
        "code_challenge_method": "S256", "code_challenge": "A" * 43, "state": "s", "nonce": "n",
        "identity": "alice@example.com",
    }  # fmt: skip
    exchange = {
        "grant_type": "authorization_code", "code": "c", "redirect_uri": "http://localhost:1/x",
        "code_verifier": "A" * 43,
    }  # fmt: skip
    asked = {"artifactHash": b64encode(bytes(32)), "hashAlgorithm": "sha256", "nonce": 1}
    requests: list[dict] = [
        {"hashedRekordRequestV002": hashed},
        {"dsseRequestV002": {"envelope": envelope, "verifiers": [by_certificate]}},
    ]
    proof = {
        "publicKeyRequest": {
            "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
            "proofOfPossession": b64encode(signature),
        }
    }
    return {
        "basic-authentication": [b"Basic c2lnc3RvcmU6"],
        "certificate-request": [json.dumps(proof).encode()],
        "ct-query": [b"first=0&second=1&tree_size=1&start=0&end=1&hash=AAAA"],
        "identity": [b"alice@example.com", b"https://ci.example.com/release", b"urn:a:b"],
        "identity-token": [b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.AAAA"],
        "log-request": [json.dumps(request).encode() for request in requests],
        "sign-in": [urlencode(sign_in).encode()],
        "timestamp-query": [query.dump()],
        "timestamp-query-json": [json.dumps(asked).encode()],
        "token-form": [urlencode(exchange).encode()],
    }


def transparency(der: bytes) -> bytes:
    extensions = x509.load_der_x509_certificate(der).extensions
    found = extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
    return found.value.public_bytes()


def main() -> None:
    for name, items in seeds().items():
        folder = ROOT / "tests" / "fuzz" / "corpus" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(items):
            (folder / f"seed-{number}").write_bytes(data)


if __name__ == "__main__":
    main()
