# SPDX-License-Identifier: Apache-2.0
"""OpenSSF Model Signing (OMS) v1.0: a manifest of a model's files as the predicate of a statement.

Source: ossf/model-signing-spec, spec/v1.0.md. Written in the form of the specification (sorted by
full name in code-point order); read also in the forms that model-signing 0.3 to 1.1 wrote (any
order, a single file named ".").
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from modelseal.errors import FormatError, shown
from modelseal.formats.intoto import Statement, Subject
from modelseal.formats.strict import as_kind, member, optional

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
HASH_TYPE = "sha256"
SINGLE_FILE = "."  # the name that model-signing gives the file of a single-file model

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME_LIMIT = 4096  # bytes; PATH_MAX of Linux
_PART_LIMIT = 255  # bytes; NAME_MAX of Linux


@dataclass(frozen=True, order=True)
class Resource:
    """One file of a model: its name relative to the model, and its SHA-256."""

    name: str
    digest: bytes


@dataclass(frozen=True)
class Manifest:
    """The files of a model, sorted by name, and the paths that the signer chose not to sign."""

    resources: tuple[Resource, ...]
    ignored: tuple[str, ...] = ()

    def root(self) -> bytes:
        """Return SHA-256 over the raw digests in order (spec 5.3): an identifier, no proof.

        Names are not part of it, so it never stands in for comparing the resources.
        """
        return hashlib.sha256(b"".join(r.digest for r in self.resources)).digest()


def manifest(resources: list[Resource], ignored: tuple[str, ...] = ()) -> Manifest:
    """Return the manifest of `resources`, in the order of the specification.

    Raises:
        FormatError: no resources, a name that is not allowed, or a name twice.
    """
    if not resources:
        raise FormatError(
            "empty-model",
            "The model has no files.",
            "Check the path; an empty model means nothing.",
        )
    names = [check_name(r.name) for r in resources]
    if len(set(names)) != len(names):
        raise FormatError("duplicate-name", "The manifest lists a file twice.")
    return Manifest(tuple(sorted(resources)), tuple(sorted(ignored)))


def check_name(name: str) -> str:
    """Return `name` if OMS allows it (spec 6.1.2): relative, `/`-separated, no `.` or `..` parts.

    Raises:
        FormatError: a name that could point out of the model or that no file can have.
    """
    if name == SINGLE_FILE:
        return name
    try:
        raw = name.encode()
    except UnicodeEncodeError as error:
        raise FormatError(
            "name-not-utf8", f"The name '{shown(name)}' is not UTF-8.", "Rename the file."
        ) from error
    parts = raw.split(b"/")
    bad = any(p in {b"", b".", b".."} or len(p) > _PART_LIMIT for p in parts)
    if bad or b"\0" in raw or len(raw) > _NAME_LIMIT:
        raise FormatError(
            "bad-name",
            f"The manifest has the name '{shown(name)}', which is not a path inside the model.",
            "Do not use this model: a well-meant signer does not write such names.",
        )
    return name


def to_statement(signed: Manifest, model_name: str) -> Statement:
    """Return the statement that a signer signs for `signed`; `model_name` is for people."""
    predicate = {
        "serialization": {
            "method": "files",
            "hash_type": HASH_TYPE,
            "allow_symlinks": False,
            "ignore_paths": list(signed.ignored),
        },
        "resources": [
            {"name": r.name, "digest": r.digest.hex(), "algorithm": HASH_TYPE}
            for r in signed.resources
        ],
    }
    subject = Subject(model_name, (("sha256", signed.root().hex()),))
    return Statement((subject,), PREDICATE_TYPE, predicate)


def from_statement(statement: Statement) -> Manifest:
    """Return the manifest that `statement` carries, whatever order it was written in.

    Raises:
        FormatError: another predicate, a serialization that is not known, a bad name, a name twice,
            or a root digest that is not that of the listed files.
    """
    if statement.predicate_type != PREDICATE_TYPE:
        raise FormatError(
            "not-a-model-signature",
            f"The statement is of type '{shown(statement.predicate_type)}', not a model signature.",
        )
    if len(statement.subjects) != 1:
        raise FormatError("subject-count", "A model signature must have exactly one subject.")
    listed = [
        _resource(as_kind(item, dict, what="resource"))
        for item in member(statement.predicate, "resources", list, what="predicate")
    ]
    ignored = _serialization(member(statement.predicate, "serialization", dict, what="predicate"))
    root = Manifest(tuple(listed)).root().hex()
    if statement.subjects[0].digests != (("sha256", root),):
        raise FormatError("root-mismatch", "The root digest is not that of the listed files.")
    return manifest(listed, ignored)


def _serialization(obj: dict[str, Any]) -> tuple[str, ...]:
    method = member(obj, "method", str, what="serialization")
    hash_type = member(obj, "hash_type", str, what="serialization")
    if (method, hash_type) != ("files", HASH_TYPE):
        raise FormatError(
            "unsupported-serialization",
            f"The model was signed as '{shown(method)}' with '{shown(hash_type)}', "
            "which this version does not read.",
            "Sign it again with files and sha256.",
        )
    paths = optional(obj, "ignore_paths", list, what="serialization") or []
    return tuple(as_kind(p, str, what="ignored path") for p in paths)


def _resource(obj: dict[str, Any]) -> Resource:
    algorithm = member(obj, "algorithm", str, what="resource")
    digest = member(obj, "digest", str, what="resource")
    if algorithm != HASH_TYPE or not _HEX_DIGEST.fullmatch(digest):
        raise FormatError(
            "bad-digest", "A resource of the manifest has no SHA-256 in lower-case hex."
        )
    return Resource(member(obj, "name", str, what="resource"), bytes.fromhex(digest))
