# SPDX-License-Identifier: Apache-2.0
"""A policy as a document again: `document.parse` gives it back.

Keys and certificates are written out, so that what is printed needs no other file.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelseal.policy.patterns import Glob, Regex
from modelseal.policy.reading import SIZES
from modelseal.policy.schema import LOG, MLSERVER, REVOKED, RULE, STORE, VERSION
from modelseal.policy.signers import AcceptedIdentity, AcceptedKey
from modelseal.policy.workflows import CLAIMS
from modelseal.trust import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from modelseal.policy.rules import (
        LogRules,
        MLServerRules,
        Policy,
        Revocation,
        Rule,
        StoreRules,
    )
    from modelseal.policy.schema import Key
    from modelseal.policy.signers import AcceptedAuthority, AcceptedSigner
    from modelseal.policy.workflows import Workflow

_PEM = re.compile(r"(-----(BEGIN|END) [A-Z ]+-----\n|[A-Za-z0-9+/=]+\n)+")
_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3600), ("s", 1))  # seconds


def to_toml(policy: Policy) -> str:
    """Return the TOML document of `policy`."""
    return to_toml_table(_tables(policy))


def to_toml_table(table: Mapping[str, Any]) -> str:
    """Return part of a document."""
    return "\n".join(_lines(table, ())).lstrip("\n") + "\n"


def to_dict(policy: Policy) -> dict[str, Any]:
    """Return the same as plain JSON values."""
    found: dict[str, Any] = json.loads(json.dumps(_tables(policy), default=_moment))
    return found


def _tables(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {"version": VERSION, "default": "deny"}
    trust = _trust(policy)
    if trust:
        found["trust"] = trust
    if policy.signers:
        found["signers"] = {signer.name: signer_table(signer) for signer in policy.signers}
    if policy.rules:
        found["rule"] = [_fields(rule, RULE) for rule in policy.rules]
    if policy.revoked:
        found["revoked"] = [_fields(revocation, REVOKED) for revocation in policy.revoked]
    store = _fields(policy.store, STORE)
    if store:
        found["store"] = store
    if policy.log is not None:
        found["log"] = _fields(policy.log, LOG)
    mlserver = _fields(policy.mlserver, MLSERVER)
    if mlserver:
        found["mlserver"] = mlserver
    if policy.allow_holes:
        found["exec"] = {"allow_holes": list(policy.allow_holes)}
    return found


def _trust(policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if policy.trust_root is not None:
        found["root"] = str(policy.trust_root)
    if policy.verifier != "modelseal":
        found["verifier"] = policy.verifier
    return found


def _fields(
    value: Rule | Revocation | StoreRules | LogRules | MLServerRules, names: Mapping[str, Key]
) -> dict[str, Any]:
    """Return the fields that differ from what they are by default."""
    found = {}
    for name in names:
        field = getattr(value, name)
        if name not in value._field_defaults or field != value._field_defaults[name]:
            found[name] = size_text(field) if names[name].kind == "size" else _plain(field)
    return found


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    return duration_text(value) if isinstance(value, timedelta) else value


def duration_text(age: timedelta) -> str:
    """Return the time span as the document has it, in the largest unit that fits: "90d"."""
    seconds = round(age.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def size_text(size: int) -> str:
    """Return the bytes as the document has them, in the largest unit that fits: "200GB"."""
    unit = next(unit for unit, one in reversed(SIZES.items()) if size % one == 0)
    return f"{size // SIZES[unit]}{unit}"


def signer_table(signer: AcceptedSigner) -> dict[str, Any]:
    """Return the table of one signer."""
    if isinstance(signer, AcceptedIdentity):
        return _identity(signer)
    if isinstance(signer, AcceptedKey):
        found: dict[str, Any] = {"public_key": keys.public_pem(signer.key).decode()}
    else:
        found = _authority(signer)
    return found if signer.logged else {**found, "logged": False}


def _identity(signer: AcceptedIdentity) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match signer.identity:
        case None:
            pass
        case Glob(text):
            found["identity_glob"] = text
        case Regex(text):
            found["identity_regex"] = text
        case text:
            found["identity"] = text
    found["issuer"] = signer.issuer
    if signer.workflow is not None:
        found[signer.workflow.platform] = run_table(signer.workflow)
    return found


def run_table(run: Workflow) -> dict[str, Any]:
    """Return the table of a workflow."""
    several = {name: list(getattr(run, name)) for name in ("ref", *CLAIMS) if getattr(run, name)}
    return {"repository": run.repository, "workflow": run.workflow, **several}


def _authority(signer: AcceptedAuthority) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - takes 10 ms, only for certificates

    pem = b"".join(one.public_bytes(Encoding.PEM) for one in signer.roots).decode()
    found = {"certificate_chain": pem}
    return found if signer.subject is None else {**found, "certificate_subject": signer.subject}


def _lines(table: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: first its own keys, then the tables in it."""
    for name, value in table.items():
        if not _is_table(value):
            yield f"{_quoted_key(name)} = {_value(value)}"
    for name, value in table.items():
        header = ".".join(_quoted_key(part) for part in (*place, name))
        for one in value if isinstance(value, list) and _is_table(value) else ():
            yield from ("", f"[[{header}]]", *_lines(one, (*place, name)))
        if isinstance(value, dict):
            own = any(not isinstance(one, dict) for one in value.values())
            yield from ("", f"[{header}]") if own else ()
            yield from _lines(value, (*place, name))


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict))


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, datetime):
        return _moment(value)
    if isinstance(value, str) and _PEM.fullmatch(value):
        return f'"""\n{value}"""'
    # TOML's basic strings have JSON's escapes, and one for DEL, which JSON lets pass.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _moment(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _quoted_key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else _value(name)
