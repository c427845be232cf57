# SPDX-License-Identifier: Apache-2.0
"""What a bundle claims, unchecked: for people who ask why something was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509

from modelseal.errors import FormatError, ModelSealError
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms, timestamp
from modelseal.model import tree
from modelseal.model.bundles import is_bundle_name
from modelseal.model.find import find_bundles
from modelseal.trust import fulcio
from modelseal.verification.authenticate import signed_digest
from modelseal.verification.checks import timestamps

if TYPE_CHECKING:
    from pathlib import Path


def inspect(path: Path) -> list[dict[str, Any]]:
    """Return, as plain JSON values, what the bundle `path` (or each of the model `path`) says.

    Raises:
        UsageError, FormatError, Undecided, Unverified: no bundle, or one cannot be read.
    """
    is_bundle = is_bundle_name(path.name) and not is_folder(path)
    if is_bundle:
        return [_said(path, read_trusted(path, bundle_format.LIMIT, "bundle"))]
    return [_said(one, tree.read(one, bundle_format.LIMIT, "bundle")) for one in find_bundles(path)]


def _said(where: Path, data: bytes) -> dict[str, Any]:
    bundle = bundle_format.parse(data)
    said: dict[str, Any] = {
        "checked": False,
        "bundle": str(where),
        "media_type": bundle.media_type,
        "kind": "dsse" if isinstance(bundle.content, dsse.Envelope) else "artifact",
        "signer": _signer(bundle),
        "certificate": _certificate(bundle),
        "timestamps": [timestamp.parse(raw).info.time.isoformat() for raw in bundle.timestamps],
        "log_entries": [_entry(entry) for entry in bundle.entries],
    }
    if isinstance(bundle.content, dsse.Envelope):
        statement = intoto.parse(bundle.content.payload)
        said["predicate_type"] = statement.predicate_type
        said["subject"] = statement.subjects[0].name
    said["manifest"] = _manifest(bundle)
    return said


def _signer(bundle: bundle_format.Bundle) -> dict[str, Any]:
    if not bundle.certificates:
        return {"key_hint": bundle.key_hint}
    try:
        found = fulcio.of_certificate(bundle.certificates[0])
    except ModelSealError as error:  # a key-pair certificate need not name a keyless identity
        return {"identity": None, "why": error.message}
    return {"identity": found.subject, "issuer": found.issuer, "claims": dict(found.claims)}


def _certificate(bundle: bundle_format.Bundle) -> dict[str, Any] | None:
    if not bundle.certificates:
        return None
    try:
        leaf = x509.load_der_x509_certificate(bundle.certificates[0])
        return {
            "issuer": leaf.issuer.rfc4514_string(),
            "serial": f"{leaf.serial_number:x}",
            "not_before": leaf.not_valid_before_utc.isoformat(),
            "not_after": leaf.not_valid_after_utc.isoformat(),
        }
    except fulcio.UNREADABLE as error:
        raise FormatError("bad-certificate", "The bundle has no readable certificate.") from error


def _entry(entry: bundle_format.LogEntry) -> dict[str, Any]:
    origin, taken = None, timestamps.integrated(entry)
    if entry.proof and entry.proof.checkpoint:
        origin = entry.proof.checkpoint.split("\n", 1)[0]
    return {
        "log_index": entry.log_index,
        "log_id": entry.log_id.hex(),
        "origin": origin,
        "kind": f"{entry.kind} {entry.version}",
        "tree_size": entry.proof.tree_size if entry.proof else None,
        "integrated_time": taken.isoformat() if taken else None,
    }


def _manifest(bundle: bundle_format.Bundle) -> dict[str, Any]:
    if not isinstance(bundle.content, dsse.Envelope):
        claimed = signed_digest(bundle)
        return {
            "files": [{"name": oms.SINGLE_FILE, claimed.algorithm: claimed.digest.hex()}],
            "ignored": [],
            "hash_type": claimed.algorithm,
        }
    statement = intoto.parse(bundle.content.payload)
    if statement.predicate_type not in {oms.PREDICATE_TYPE, oms.OLD_PREDICATE_TYPE}:
        return {"files": [], "ignored": []}
    signed = oms.from_statement(statement)
    how = signed.serialization
    files = [{"name": r.name, how.hash_type: r.digest.hex()} for r in signed.resources]
    return {
        "files": files,
        "ignored": list(signed.ignored),
        "method": how.method,
        "hash_type": how.hash_type,
        "shard_size": how.shard_size,
        "allow_symlinks": how.allow_symlinks,
    }
