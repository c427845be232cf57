# SPDX-License-Identifier: Apache-2.0
"""in-toto Statement v1: what is claimed (the predicate) about which digests (the subjects).

Source: in-toto/attestation, spec/v1/statement.md.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from modelseal.errors import FormatError
from modelseal.formats import predicates
from modelseal.formats.strict import as_kind, member, optional, parse_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_OLD_TYPE = "https://in-toto.io/Statement/v0"  # never used for models
LIMIT = 32 * 1024 * 1024  # bytes; a manifest of some 140,000 files
_ITEMS = 2_000_000  # JSON values; such a manifest has some 600,000

_WHAT = "statement"


class Subject(NamedTuple):
    """A named thing and its digests, as (algorithm, lower-case hex) pairs in listed order."""

    name: str
    digests: tuple[tuple[str, str], ...]


class Statement(NamedTuple):
    """Subjects and one predicate; `predicate` is plain JSON and must not be changed."""

    subjects: tuple[Subject, ...]
    predicate_type: str
    predicate: dict[str, Any]


def parse(data: bytes) -> Statement:
    """Return the statement in the payload of an envelope.

    Unknown members of the statement are ignored, as the specification tells consumers to.

    Raises:
        FormatError: not a Statement v1 with at least one subject that has a digest.
    """
    what = _WHAT
    obj = as_kind(parse_json(data, what=what, limit=LIMIT, items=_ITEMS), dict, what=what)
    kind = member(obj, "_type", str, what=what)
    if kind.startswith(_OLD_TYPE):
        count = len(member(obj, "subject", list, what=what))
        raise predicates.refusal("statement-type", str(obj.get("predicateType")), count)
    if kind != STATEMENT_TYPE:
        raise FormatError("statement-type", "The signed statement is not an in-toto Statement v1.")
    subjects = tuple(
        _subject(as_kind(item, dict, what="subject"))
        for item in member(obj, "subject", list, what=what)
    )
    if not subjects:
        raise FormatError("no-subject", "The signed statement names no subject.")
    return Statement(
        subjects=subjects,
        predicate_type=member(obj, "predicateType", str, what=what),
        predicate=member(obj, "predicate", dict, what=what),
    )


def _subject(obj: dict[str, Any]) -> Subject:
    digests = member(obj, "digest", dict, what="subject")
    if not digests:
        raise FormatError("no-digest", "A subject of the signed statement has no digest.")
    return Subject(
        name=optional(obj, "name", str, what="subject") or "",
        digests=tuple((k, as_kind(v, str, what="digest")) for k, v in digests.items()),
    )


def to_bytes(statement: Statement) -> bytes:
    """Return the payload bytes of `statement`: compact JSON with sorted members."""
    obj = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": s.name, "digest": dict(s.digests)} for s in statement.subjects],
        "predicateType": statement.predicate_type,
        "predicate": statement.predicate,
    }
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
