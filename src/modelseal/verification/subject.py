# SPDX-License-Identifier: Apache-2.0
"""Whether an artifact is a subject of a signed in-toto statement."""

from __future__ import annotations

from modelseal.errors import FormatError, Unverified
from modelseal.formats import dsse, intoto
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.trust.signature import HASHES, Prehashed
from modelseal.verification.checks import content

_TYPES = (intoto.STATEMENT_TYPE, "https://in-toto.io/Statement/v0.1")
_WHAT = "statement"
_LIMIT = 1024  # subjects, as sigstore-go has it


def check_subject(envelope: dsse.Envelope, artifact: bytes | Prehashed) -> None:
    """Check that the statement in `envelope` names `artifact` among its subjects.

    in-toto/attestation, spec/v1/statement.md and spec/v0.1.0. Digests of hashes that are not known
    here, or that are not at hand, are passed over.

    Raises:
        FormatError: not a statement of a known version.
        Unverified: the artifact is not a subject ("subject-mismatch").
    """
    if envelope.payload_type != intoto.PAYLOAD_TYPE:
        raise FormatError("payload-type", "The signed envelope does not hold an in-toto statement.")
    obj = as_kind(parse_json(envelope.payload, what=_WHAT, limit=intoto.LIMIT), dict, what=_WHAT)
    if member(obj, "_type", str, what=_WHAT) not in _TYPES:
        raise FormatError("statement-type", "The signed statement is of an unknown version.")
    subjects = member(obj, "subject", list, what=_WHAT)
    if len(subjects) > _LIMIT:
        raise FormatError("too-many", f"The {_WHAT} has more than {_LIMIT} subjects.")
    known: dict[str, str] = {}
    for item in subjects:
        digests = member(as_kind(item, dict, what="subject"), "digest", dict, what="subject")
        for algorithm, value in digests.items():
            if algorithm not in known:
                known[algorithm] = _hex(artifact, algorithm)
            if as_kind(value, str, what="digest") == known[algorithm] != "":
                return
    raise Unverified("subject-mismatch", "The signed statement is not about this artifact.")


def _hex(artifact: bytes | Prehashed, algorithm: str) -> str:
    """Return the digest of `artifact` in hex, or nothing where it cannot be had."""
    if algorithm not in HASHES:
        return ""
    if isinstance(artifact, Prehashed) and artifact.algorithm != algorithm:
        return ""
    return content.digest(artifact, algorithm).hex()
