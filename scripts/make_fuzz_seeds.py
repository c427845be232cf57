# SPDX-License-Identifier: Apache-2.0
"""Write the first inputs of tests/fuzz/corpus: real ones, taken apart."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from modelseal import roots
from modelseal.formats import bundle, dsse, note, trusted_root
from modelseal.formats.strict import b64encode

ROOT = Path(__file__).resolve().parent.parent
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


def seeds() -> dict[str, list[bytes]]:
    raw = [
        (VECTORS / "model-signing" / "v1.1.0" / "model.sig").read_bytes(),
        (VECTORS / "sigstore-python" / "v0.1.sigstore").read_bytes(),
    ]
    conformance = VECTORS / "conformance" / "intoto-canonical-log-entry" / "bundle.sigstore.json"
    bundles = [bundle.parse(data) for data in (*raw, conformance.read_bytes())]
    checkpoints = [b.entries[0].proof.checkpoint.encode() for b in bundles]
    certificates = [b.certificates[0] for b in bundles if b.certificates]
    root = roots.embedded(roots.PUBLIC_GOOD)
    scts = [transparency(der) for der in certificates]
    return {
        "base64": [b64encode(certificates[0][:33]).encode()],
        "bundle": raw,
        "certificate": certificates,
        "checkpoint": [note.parse_note(data).text.encode() for data in checkpoints],
        "json": [b'{"a": [1, -2.5e3, "\\u00e9", null, true], "b": {}}'],
        "key": [log.key for log in trusted_root.parse(root).logs],
        "log-body": [b.entries[0].body for b in bundles],
        "note": checkpoints,
        "policy": [POLICY.encode()],
        "sct": scts,
        "statement": [b.content.payload for b in bundles if isinstance(b.content, dsse.Envelope)],
        "timestamp": list(bundles[0].timestamps),
        "trusted-root": [root],
        "verify": raw,
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
