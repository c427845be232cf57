# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed: everything that reads bytes which a stranger wrote.

Each target takes bytes; nothing but `ModelSealError` may come out of it. Those of the private
instance stand in `instance_targets.py`.
"""

from __future__ import annotations

import os
import random
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from verifying import authenticate, proved

from modelseal.admission.admit import Snapshot
from modelseal.errors import shown
from modelseal.formats import (
    bundle,
    checkpoint,
    dsse,
    intoto,
    kinds,
    merkle,
    note,
    oms,
    pkcs11_uri,
    rekor,
    sct,
    strict,
    tiles,
)
from modelseal.model import content, inside, listing, stat_cache
from modelseal.policy import document
from modelseal.policy.rules import MLServerRules, Policy
from modelseal.policy.verdict import Verdict
from modelseal.servers import settings
from modelseal.trust import anchors, fulcio, published, signature
from modelseal.trust import embedded as roots
from modelseal.trust import trust_root as trust_roots
from modelseal.trust.trust_root import TrustRoot
from modelseal.verification import inspect, subject
from modelseal.verification.believed import TrustedKey
from modelseal.verification.checks import certificate, timestamps

if TYPE_CHECKING:
    from collections.abc import Callable

PUBLIC_GOOD = TrustRoot(roots.embedded(roots.PUBLIC_GOOD), "public good")
CHECKER = timestamps.TimestampChecker(anchors.load(PUBLIC_GOOD).timestamp_authorities)
KEY = TrustedKey(ec.derive_private_key(1, ec.SECP256R1()).public_key())
FOLDER = tempfile.TemporaryDirectory(prefix="modelseal-fuzz-")
RUNTIME = "mlserver_sklearn.SKLearnModel"


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def json(data: bytes) -> dict:
    return strict.as_kind(strict.parse_json(data, what="value", limit=1 << 20), dict, what="value")


def filed(read: Callable[[Path], object], name: str) -> Callable[[bytes], object]:
    """Return a target that puts its bytes into a file, which `read` reads."""

    def target(data: bytes) -> object:
        path = Path(FOLDER.name) / name
        path.write_bytes(data)
        return read(path)

    return target


def verify(data: bytes) -> None:
    proved(bundle.parse(data), PUBLIC_GOOD, data)


def statement(data: bytes) -> None:
    oms.from_statement(intoto.parse(data))


def envelope(data: bytes) -> None:
    found = dsse.parse(json(data))
    dsse.pae(found.payload_type, found.payload)
    oms.old_pae(found.payload_type, found.payload)


def of_subject(data: bytes) -> None:
    signed = dsse.Envelope(data, intoto.PAYLOAD_TYPE, (dsse.Signature(b"x"),))
    subject.check_subject(signed, b"weights")


def proof(data: bytes) -> None:
    """Two 64-bit numbers, then hashes."""
    first, second = int.from_bytes(data[:8]), int.from_bytes(data[8:16])
    hashes = [data[at : at + 32] for at in range(16, min(len(data), 4096), 32)]
    leaf = merkle.leaf_hash(b"")
    with suppress(strict.FormatError):
        merkle.root_from_inclusion(leaf, first, second, hashes)
    merkle.is_consistent(first, leaf, second, leaf, hashes)


def tile(data: bytes) -> None:
    with suppress(strict.FormatError):
        tiles.parse_path(text(data))
    tiles.parse_entries(data)


def known_digests(data: bytes) -> None:
    with suppress(ValueError):  # whoever loads the cache takes it for "nothing is known"
        stat_cache._parsed(data, Path("/model"))


def compared(path: Path) -> None:
    assert inside.compare(path.name, path, path) is not None  # a name that says how to look inside


def signed_settings(path: Path) -> None:
    """Read them as the server does that is to load the model."""
    listed = (oms.Resource(settings.FILE_NAME, b"x" * 32), oms.Resource("model.joblib", b"y" * 32))
    verdict = Verdict("accepted", "name", "accepted", "")
    policy = Policy(signers=(), rules=(), mlserver=MLServerRules((RUNTIME,), ("name",)))
    settings.read(Snapshot(path.parent, verdict, oms.Manifest(listed)), policy)


def certificate_der(data: bytes) -> None:
    """Bend the tree of a real certificate by what these bytes say."""
    from forging import der, issuing  # noqa: PLC0415 - for this target only

    bent = der.mutated(issuing.Leaf().issue("alice"), random.Random(data))
    leaf = certificate.load(bent)
    certificate.key_of(leaf)
    certificate.check_usage((leaf, leaf), certificate.FULCIO)
    fulcio.of_certificate(bent)


def timestamp_der(data: bytes) -> None:
    """Bend the tree of a real timestamp likewise."""
    from forging import bundles, der, stamping  # noqa: PLC0415 - for this target only

    trust = TrustRoot(strict.json.dumps(bundles.trusted_root()).encode(), "forged")
    stamp = stamping.Stamp(certificates=("signer", "root")).encode(b"signature")
    bent = der.mutated(stamp, random.Random(data))
    timestamps.TimestampChecker(anchors.load(trust).timestamp_authorities).check(
        (bent,), b"signature"
    )


def differential(data: bytes) -> None:
    """Choose bends by these bytes; fail if sigstore-python and we differ in a way that is new."""
    from forging import compare  # noqa: PLC0415 - imports sigstore, for this target only

    for check in (compare.several_bends, compare.bent_before_and_after):
        check.hypothesis.fuzz_one_input(data)


TARGETS: dict[str, Callable[[bytes], object]] = {
    "base64": lambda data: strict.b64decode(text(data), what="value"),
    "bundle": bundle.parse,
    "certificate": fulcio.of_certificate,
    "certificate-der": certificate_der,
    "checkpoint": lambda data: checkpoint.parse_checkpoint(text(data)),
    "content": lambda data: content.format_of("model", data),
    "differential": differential,
    "digest-manifest": listing.parse,
    "dsse": envelope,
    "gguf": filed(compared, "model.gguf"),
    "inspect": filed(inspect.inspect, "model.sigstore.json"),
    "json": lambda data: strict.parse_json(data, what="value", limit=1 << 20),
    "key": signature.load_der,
    "key-pem": signature.load_pem,
    "kinds": kinds.of,
    "log-body": rekor.parse,
    "managed": lambda data: authenticate(data, KEY),
    "note": note.parse_note,
    "npy": filed(compared, "model.npy"),
    "npz": filed(compared, "model.npz"),
    "pkcs11-uri": lambda data: pkcs11_uri.parse(text(data)),
    "policy": lambda data: document.parse(text(data), Path("/not-there")),
    "proof": proof,
    "safetensors": filed(compared, "model.safetensors"),
    "sct": sct.parse_sct_list,
    "settings": filed(signed_settings, settings.FILE_NAME),
    "shown": lambda data: shown(os.fsdecode(data)),
    "stat-cache": known_digests,
    "statement": statement,
    "subject": of_subject,
    "tile": tile,
    "timestamp": lambda data: CHECKER.check((data,), b"signature"),
    "timestamp-der": timestamp_der,
    "trust-config": filed(trust_roots.from_trust_config, "trust_config.json"),
    "trusted-root": lambda data: anchors.load(TrustRoot(data, "fuzz")),
    "tuf-timestamp": filed(published._current_until, "timestamp.json"),
    "verify": verify,
}
