# SPDX-License-Identifier: Apache-2.0
"""What a bundle claims, unchecked: for people who ask why something was refused.

So a part of a bundle that cannot be read is shown as such, and the others are shown too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelseal.errors import FormatError, ModelSealError, Unverified, UsageError
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, kinds, oms, timestamp
from modelseal.model import tree
from modelseal.model.bundles import is_bundle_name
from modelseal.model.find import find_bundles
from modelseal.trust import fulcio
from modelseal.verification import certificate_info
from modelseal.verification.checks import timestamps
from modelseal.verification.claim import claimed_digest
from modelseal.verification.expiry import expiry

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.formats.bundle import Bundle, LogEntry

    Json = dict[str, Any]

_MEMBERS = (b"mediaType", b"verificationMaterial")  # of a bundle, however damaged


def inspect(path: Path) -> list[Json]:
    """Return, as plain JSON values, what the bundle at `path` says, or each one of a model there.

    What a file is, its content decides, not its name. Of several bundles one that cannot be read is
    listed with the reason.

    Raises:
        UsageError, FormatError, Undecided, Unverified: no bundle, or the only one cannot be read.
    """
    if not is_folder(path):
        try:
            return [_bundle(path, _named(path))]
        except FormatError as error:
            found = _beside(path, error)
    else:
        found = list(find_bundles(path))
    if len(found) == 1:
        return [_bundle(found[0], _of_model(found[0]))]
    return [_bundle_or_error(one) for one in found]


def _named(path: Path) -> Bundle:
    """Return the bundle in the file that the operator named.

    Raises:
        UsageError, Undecided: as `read_trusted`. FormatError: it holds none.
    """
    return bundle_format.parse(read_trusted(path, bundle_format.LIMIT, "bundle"))


def _of_model(path: Path) -> Bundle:
    return bundle_format.parse(tree.read(path, bundle_format.LIMIT, "bundle"))


def _beside(path: Path, error: FormatError) -> list[Path]:
    """Return the bundles of the model that is the file at `path`, which holds none itself.

    Raises:
        FormatError: there are none, and the `error` is what there is to say of the file.
        Unverified, UsageError: there are none.
    """
    try:
        return list(find_bundles(path))
    except (Unverified, UsageError):
        if is_bundle_name(path.name) or _is_meant_as_bundle(path):
            raise error from None
        raise


def _is_meant_as_bundle(path: Path) -> bool:
    try:
        start = tree.read(path, bundle_format.LIMIT, "bundle")
    except ModelSealError:
        return False
    return any(member in start for member in _MEMBERS) or not kinds.may_be_model(start)


def _bundle_or_error(path: Path) -> Json:
    try:
        return _bundle(path, _of_model(path))
    except ModelSealError as error:
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        return {"checked": False, "bundle": str(path), "error": told}


def _bundle(path: Path, bundle: Bundle) -> Json:
    certificates = [certificate_info.of(raw) for raw in bundle.certificates]
    ends = expiry(bundle)
    return {
        "checked": False,
        "bundle": str(path),
        "media_type": bundle.media_type,
        "kind": "dsse" if isinstance(bundle.content, dsse.Envelope) else "artifact",
        "signer": _signer(bundle),
        "certificate": certificates[0] if certificates else None,
        "chain": certificates[1:],
        "timestamps": [_timestamp(raw) for raw in bundle.timestamps],
        "log_entries": [_entry(entry) for entry in bundle.entries],
        "verifies_until": ends.until and ends.until.isoformat(),
        "verifies_until_because": ends.reason,
        **_content(bundle),
    }


def _signer(bundle: Bundle) -> Json:
    if not bundle.certificates:
        return {"kind": "key", "key_hint": bundle.key_hint}
    try:
        signer = fulcio.of_certificate(bundle.certificates[0])
    except ModelSealError:  # of a CA that names nobody as Sigstore's does
        told = certificate_info.of(bundle.certificates[0])
        return {
            "kind": "certificate",
            "identity": told.get("subject"),
            "issuer": told.get("issuer"),
        }
    claims = dict(signer.claims)
    return {
        "kind": "identity", "identity": signer.subject, "issuer": signer.issuer, "claims": claims,
    }  # fmt: skip


def _timestamp(raw: bytes) -> str:
    try:
        return timestamp.parse(raw).info.time.isoformat()
    except FormatError as error:
        return f"unreadable: {error.message}"


def _entry(entry: LogEntry) -> Json:
    origin = None
    if entry.proof and entry.proof.checkpoint:
        origin = entry.proof.checkpoint.split("\n", 1)[0]
    return {
        "log_index": entry.log_index,
        "log_id": entry.log_id.hex(),
        "origin": origin,
        "kind": f"{entry.kind} {entry.version}",
        "tree_size": entry.proof.tree_size if entry.proof else None,
        "integrated_time": _integrated(entry),
    }


def _integrated(entry: LogEntry) -> str | None:
    try:
        time = timestamps.integrated(entry)
    except FormatError as error:
        return f"unreadable: {error.message}"
    return time.isoformat() if time else None


def _content(bundle: Bundle) -> Json:
    if isinstance(bundle.content, dsse.Envelope):
        return _statement(bundle.content)
    try:
        claimed = claimed_digest(bundle)
    except FormatError as error:
        return {"manifest": _no_manifest(error)}
    file = {"name": oms.SINGLE_FILE, claimed.algorithm: claimed.digest.hex()}
    return {"manifest": {"files": [file], "ignored": [], "hash_type": claimed.algorithm}}


def _statement(envelope: dsse.Envelope) -> Json:
    if envelope.payload_type != intoto.PAYLOAD_TYPE:
        error = FormatError("payload-type", "The signed envelope does not hold a statement.")
        return {"payload_type": envelope.payload_type, "manifest": _no_manifest(error)}
    try:
        statement = intoto.parse(envelope.payload)
    except FormatError as error:
        return {"manifest": _no_manifest(error)}
    told: Json = {
        "predicate_type": statement.predicate_type,
        "subject": statement.subjects[0].name,
    }
    try:
        return {**told, "manifest": _manifest(oms.from_statement(statement))}
    except FormatError as error:
        subjects = [{"name": one.name, **dict(one.digests)} for one in statement.subjects]
        return {**told, "subjects": subjects, "manifest": _no_manifest(error)}


def _no_manifest(error: FormatError) -> Json:
    return {"files": [], "ignored": [], "error": error.message}


def _manifest(signed: oms.Manifest) -> Json:
    how = signed.serialization
    return {
        "files": [{"name": r.name, how.hash_type: r.digest.hex()} for r in signed.resources],
        "ignored": list(signed.ignored),
        "method": how.method,
        "hash_type": how.hash_type,
        "shard_size": how.shard_size,
        "allow_symlinks": how.allow_symlinks,
    }
