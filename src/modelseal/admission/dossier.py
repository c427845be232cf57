# SPDX-License-Identifier: Apache-2.0
"""What an auditor gets about a model: all that a verdict rests on, to be checked without us.

DIR/README.md              how to check it, with modelseal and with other tools
DIR/verdict.json           what the policy says of the model today, with every check
DIR/bundles/               the signatures as they lie with the model
DIR/manifest.json          what was signed: names and digests of the files
DIR/model.sha256           the same for `sha256sum --check`, if it was signed so
DIR/policy.toml            the policy as the server reads it: its SHA-256 is in the log
DIR/policy-complete.toml   the same with all keys and certificates in it
DIR/trusted_root.json      what vouches for identities, times and logs
DIR/signers/               the accepted keys
DIR/decisions.jsonl        the lines about this model in the log of decisions
DIR/log.json               whether that log is whole
DIR/SHA256SUMS             the digests of all of these files
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal import outputs
from modelseal.admission import chain
from modelseal.admission.check import check
from modelseal.admission.dossier_readme import Contents, key_file, readme
from modelseal.admission.road import read_bundle
from modelseal.errors import ModelSealError, Undecided, UsageError, shown
from modelseal.files import exists, read_trusted
from modelseal.model import names
from modelseal.model.find import find_bundles
from modelseal.policy import document, printed
from modelseal.policy.signers import AcceptedKey
from modelseal.trust import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.verification.verifier import Verifier


class Audited(NamedTuple):
    """Where the evidence is, and what it says."""

    folder: Path
    files: tuple[str, ...]
    verdict: Verdict
    decisions: int


def write(
    model: Path,
    policy_path: Path,
    policy: Policy,
    verifier: Verifier,
    out: Path,
    *,
    bundle: Path | None = None,
) -> Audited:
    """Write what there is about `model` and the verdict of `policy` into the new folder `out`.

    Raises:
        UsageError: `out` exists, or the call is wrong otherwise. FormatError, Undecided: the policy
            or the log cannot be read, `out` not be written.
    """
    if exists(out):
        message = f"'{shown(str(out))}' already exists."
        raise UsageError("already-exists", message, "Name a folder that does not exist yet.")
    name = names.text(os.path.basename(os.path.abspath(model)))  # noqa: PTH100, PTH119 - a link stays one
    verdict = check(model, policy, verifier, bundle).replace(model=name)
    found = dict(_bundles(model, bundle))
    files: dict[str, bytes] = {
        **found,
        "verdict.json": _json(verdict.to_dict()),
        **_signed(verdict),
        **_policy(policy_path, policy, verifier),
    }
    decisions, log = _decisions(policy, name)
    files |= log
    about = Contents(tuple(found), "model.sha256" in files, policy.log and len(decisions))
    files["README.md"] = readme(verdict, policy, about).encode()
    sums = (f"{sha256(data).hexdigest()}  {path}\n" for path, data in sorted(files.items()))
    files["SHA256SUMS"] = "".join(sums).encode()
    _write(out, files)
    return Audited(out, tuple(sorted(files)), verdict, len(decisions))


def _bundles(model: Path, given: Path | None) -> Iterator[tuple[str, bytes]]:
    """Yield the path in the evidence and the bytes of each bundle that can be read."""
    try:
        for path in find_bundles(model, given):
            data = read_bundle(path, given=given is not None)
            yield f"bundles/{names.from_disk(path.name)}", data
    except UsageError:
        raise
    except ModelSealError:
        return  # the verdict says what is wrong


def _signed(verdict: Verdict) -> dict[str, bytes]:
    manifest = verdict.manifest
    if manifest is None:
        return {}
    how = manifest.serialization
    values = {
        "root_digest": f"sha256:{manifest.root().hex()}",
        "method": how.method,
        "hash_type": how.hash_type,
        "shard_size": how.shard_size,
        "files": {one.name: one.digest.hex() for one in manifest.resources},
        "left_out": list(manifest.ignored),
    }
    files = {"manifest.json": _json(values)}
    plain = all(one.name.isprintable() and "\\" not in one.name for one in manifest.resources)
    if (how.hash_type, how.shard_size) == ("sha256", None) and plain:
        lines = (f"{one.digest.hex()}  {one.name}\n" for one in manifest.resources)
        files["model.sha256"] = "".join(lines).encode()
    return files


def _policy(path: Path, policy: Policy, verifier: Verifier) -> dict[str, bytes]:
    root = Path("trusted_root.json") if verifier.root else None
    complete = policy._replace(trust_root=root, log=None)
    files = {
        "policy.toml": read_trusted(path, document.LIMIT, "policy"),
        "policy-complete.toml": printed.to_toml(complete).encode(),
    }
    if verifier.root:
        files["trusted_root.json"] = verifier.root.json
    for signer in policy.signers:
        if isinstance(signer, AcceptedKey):
            files[key_file(signer.name)] = keys.public_pem(signer.key)
    return files


def _decisions(policy: Policy, name: str) -> tuple[list[bytes], dict[str, bytes]]:
    """Return the lines about the model, and the files about them."""
    if policy.log is None or not exists(policy.log.path):
        return [], {}
    verified = chain.verify([policy.log.path])
    lines = [
        line.text
        for file in verified.files
        for line in chain.lines(file)
        if line.values is not None and line.values.get("model") == shown(name, 500)
    ]
    state = {
        "whole": not verified.problems,
        "entries": verified.entries,
        "first": verified.first,
        "last": verified.last,
        "last_digest": verified.digest,
        "problems": [
            {"file": one.file.name, "line": one.line, "message": one.message}
            for one in verified.problems
        ],
    }
    data = b"".join(line + b"\n" for line in lines)
    return lines, {"decisions.jsonl": data, "log.json": _json(state)}


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _write(out: Path, files: Mapping[str, bytes]) -> None:
    try:
        out.mkdir(parents=True)
        for folder in {(out / path).parent for path in files} - {out}:
            folder.mkdir()
    except OSError as error:
        reason = error.strerror or "input/output error"
        message = f"'{shown(str(out))}' cannot be made: {reason}."
        raise Undecided("cannot-write", message, "Choose another place.") from error
    for path, data in files.items():
        outputs.write(out / path, data)
