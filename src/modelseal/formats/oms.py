# SPDX-License-Identifier: Apache-2.0
"""OpenSSF Model Signing (OMS) v1.0: a manifest of a model's files as the predicate of a statement.

Source: ossf/model-signing-spec, spec/v1.0.md. Written in the form of the specification (sorted by
full name in code-point order, integer shard size); read also in the forms that model-signing 0.3 to
1.1 and the Go client wrote: any order, a single file named ".", a shard size like 200.0, algorithms
like "sha256-sharded-200"; and in the form of 0.2, whose files are the subjects of the statement.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal, NamedTuple

from modelseal.errors import FormatError, shown
from modelseal.formats import predicates
from modelseal.formats.intoto import Statement, Subject
from modelseal.formats.strict import as_kind, known, member, optional

PREDICATE_TYPE = "https://model_signing/signature/v1.0"
OLD_PREDICATE_TYPE = "https://model_signing/Digests/v0.1"  # model-signing 0.2; read, never written
SINGLE_FILE = "."  # the name that model-signing gives the file of a single-file model

Method = Literal["files", "shards"]
HASHES = {"sha256": 32, "blake2b": 64, "blake3": 32}  # hash type -> bytes of a digest (spec 7)

_NAME_LIMIT = 4096  # bytes; PATH_MAX of Linux
_PART_LIMIT = 255  # bytes; NAME_MAX of Linux
_HEX = re.compile(r"[0-9a-f]+")
_PLAIN = re.compile(r"[\w-][\w.+-]*(/[\w-][\w.+-]*)*", re.ASCII)  # no part is "." or ".."
_SHARD_MAX = 2**63 - 1
_SHARD = re.compile(r"(.+):(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,18})", re.DOTALL)


class Resource(NamedTuple):
    """One file of a model, or one shard of it: its name relative to the model, and its digest."""

    name: str
    digest: bytes


class Serialization(NamedTuple):
    """How a model became resources: what a verifier must do again (spec 5.2.2)."""

    method: Method = "files"
    hash_type: str = "sha256"
    allow_symlinks: bool = False
    shard_size: int | None = None  # bytes; with shards, and only then


class Manifest(NamedTuple):
    """The files of a model, sorted by name, and the paths that the signer chose not to sign."""

    resources: tuple[Resource, ...]
    ignored: tuple[str, ...] = ()
    serialization: Serialization = Serialization()

    def root(self) -> bytes:
        """Return SHA-256 over the raw digests in order (spec 5.3): an identifier, no proof.

        Names are not part of it, so it never stands in for comparing the resources.
        """
        return hashlib.sha256(b"".join(r.digest for r in self.resources)).digest()

    def file_names(self) -> frozenset[str]:
        """Return the names of the files; of shards, those of the files that they are parts of."""
        if self.serialization.method == "files":
            return frozenset(r.name for r in self.resources)
        return frozenset(split_shard(r.name)[0] for r in self.resources)

    def by_file(self) -> dict[str, bytes]:
        """Return the digest of each file; of shards, those of a file one after the other."""
        if self.serialization.method == "files":
            return dict(self.resources)
        parts: dict[str, dict[int, bytes]] = {}
        for name, digest in self.resources:
            file, start, _ = split_shard(name)
            parts.setdefault(file, {})[start] = digest
        return {file: b"".join(found[n] for n in sorted(found)) for file, found in parts.items()}

    def sizes(self) -> dict[str, int]:
        """Return the bytes of each file, which shards say themselves; else none is known."""
        found: dict[str, int] = {}
        if self.serialization.method == "shards":
            for resource in self.resources:
                file, _, end = split_shard(resource.name)
                found[file] = max(end, found.get(file, 0))
        return found


def serialization(
    hash_type: str = "sha256", *, shard_size: int | None = None, allow_symlinks: bool = False
) -> Serialization:
    """Return how to serialize: by files, or by shards of `shard_size` bytes.

    Raises:
        FormatError: a hash that is not one of `HASHES`, or a shard size that makes no sense.
    """
    if hash_type not in HASHES:
        raise _unsupported(f"with the hash '{shown(hash_type)}'")
    if shard_size is not None and not 0 < shard_size <= _SHARD_MAX:
        raise _unsupported(f"by shards of {shown(str(shard_size))} bytes")
    method: Method = "files" if shard_size is None else "shards"
    return Serialization(method, hash_type, allow_symlinks, shard_size)


def manifest(
    resources: list[Resource],
    ignored: tuple[str, ...] = (),
    how: Serialization | None = None,
) -> Manifest:
    """Return the manifest of `resources`, in the order of the specification.

    Raises:
        FormatError: no resources, a name that is not allowed, a name twice, or shards that are not
            just what a file falls into.
    """
    how = how or Serialization()
    if not resources:
        raise FormatError(
            "empty-model",
            "The model has no files.",
            "Check the path; an empty model means nothing.",
        )
    names = [r.name for r in resources]
    if len(set(names)) != len(names):
        raise FormatError("duplicate-name", "The manifest lists a file twice.")
    files = (
        {check_name(name) for name in names}
        if how.shard_size is None
        else _check_shards(names, how.shard_size)
    )
    if SINGLE_FILE in files and len(files) > 1:
        raise _bad_name(SINGLE_FILE)
    return Manifest(tuple(sorted(resources)), tuple(sorted(ignored)), how)


def shard_name(name: str, start: int, end: int) -> str:
    """Return the name of the shard of the file `name` from `start` to before `end` (spec 6.3.2)."""
    return f"{name}:{start}:{end}"


def split_shard(name: str) -> tuple[str, int, int]:
    """Return file name, start and end of a shard; the file's own name may have colons.

    Raises:
        FormatError: not the name of a shard, or the file's name is not allowed.
    """
    match = _SHARD.fullmatch(name)
    if match is None:
        raise FormatError("bad-shard", f"'{shown(name)}' is not the name of a shard.")
    return check_name(match[1]), int(match[2]), int(match[3])


def _check_shards(names: list[str], size: int) -> set[str]:
    """Return the files, having checked that the shards of each follow each other.

    All but the last have the full size.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for name in names:
        file, start, end = split_shard(name)
        found.setdefault(file, []).append((start, end))
    for file, parts in found.items():
        expected = 0
        parts.sort()
        for number, (start, end) in enumerate(parts, 1):
            whole = end - start == size or (number == len(parts) and 0 < end - start < size)
            if start != expected or not whole:
                raise FormatError(
                    "bad-shard", f"The shards of '{shown(file)}' leave a gap or overlap."
                )
            expected = end
    return set(found)


def check_name(name: str) -> str:
    """Return `name` if OMS allows it (spec 6.1.2): relative, `/`-separated, no `.` or `..` parts.

    Raises:
        FormatError: a name that could point out of the model or that no file can have.
    """
    if len(name) <= _PART_LIMIT and _PLAIN.fullmatch(name):  # nearly all; the rest takes longer
        return name
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
        raise _bad_name(name)
    return name


def _bad_name(name: str) -> FormatError:
    return FormatError(
        "bad-name",
        f"The manifest has the name '{shown(name)}', which is not a path inside the model.",
        "Do not use this model: a well-meant signer does not write such names.",
    )


def old_pae(payload_type: str, payload: bytes) -> bytes:
    """Return what model-signing 0.2 signed: not DSSE, but Python's spelling of the bytes.

    For reading `OLD_PREDICATE_TYPE` only.
    """
    return f"DSSEV1 {len(payload_type)} {payload_type} {len(payload)} {payload!r}".encode()


def to_statement(signed: Manifest, model_name: str) -> Statement:
    """Return the statement that a signer signs for `signed`; `model_name` is for people."""
    predicate = {
        "serialization": described(signed),
        "resources": [
            {
                "name": r.name,
                "digest": r.digest.hex(),
                "algorithm": signed.serialization.hash_type,
            }
            for r in signed.resources
        ],
    }
    subject = Subject(model_name, (("sha256", signed.root().hex()),))
    return Statement((subject,), PREDICATE_TYPE, predicate)


def described(signed: Manifest) -> dict[str, Any]:
    """Return how `signed` was serialized, and what was left out, as JSON (spec 5.2.2)."""
    how = signed.serialization
    found: dict[str, Any] = {
        "method": how.method,
        "hash_type": how.hash_type,
        "allow_symlinks": how.allow_symlinks,
        "ignore_paths": list(signed.ignored),
    }
    if how.shard_size is not None:
        found["shard_size"] = how.shard_size
    return found


def from_statement(statement: Statement) -> Manifest:
    """Return the manifest that `statement` carries, whatever order it was written in.

    Raises:
        FormatError: another predicate, a serialization that is not known, a bad name, a name twice,
            or a root digest that is not that of the listed files.
    """
    if statement.predicate_type == OLD_PREDICATE_TYPE:
        return _from_subjects(statement)
    if statement.predicate_type != PREDICATE_TYPE:
        count = len(statement.subjects)
        raise predicates.refusal("not-a-model-signature", statement.predicate_type, count)
    if len(statement.subjects) != 1:
        message = f"The model signature has {len(statement.subjects)} subjects, not one."
        raise FormatError("subject-count", message)
    known(statement.predicate, "predicate", "resources", "serialization")
    how, ignored = as_described(
        member(statement.predicate, "serialization", dict, what="predicate")
    )
    listed = _resources(member(statement.predicate, "resources", list, what="predicate"), how)
    root = Manifest(tuple(listed)).root().hex()
    if statement.subjects[0].digests != (("sha256", root),):
        raise FormatError("root-mismatch", "The root digest is not that of the listed files.")
    return manifest(listed, ignored, how)


def _from_subjects(statement: Statement) -> Manifest:
    """Return the manifest of a statement of model-signing 0.2: one subject a file, SHA-256."""
    listed = []
    for subject in statement.subjects:
        if len(subject.digests) != 1 or subject.digests[0][0] != "sha256":
            raise FormatError("bad-digest", "A file of the manifest has no SHA-256.")
        listed.append(Resource(subject.name, digest_of(subject.digests[0][1], "sha256")))
    return manifest(listed)


def as_described(obj: dict[str, Any]) -> tuple[Serialization, tuple[str, ...]]:
    """Return what `described` said: how it was serialized, and what was left out (spec 5.2.2).

    A member that is not known may change which files are meant, so it is refused, as the schema
    says. Of a resource, which has its name and digest, such members are ignored (spec 5.2.1).

    Raises:
        FormatError: a way that is not known.
    """
    what = "serialization"
    known(obj, what, "method", "hash_type", "shard_size", "allow_symlinks", "ignore_paths")
    method = member(obj, "method", str, what=what)
    hash_type = member(obj, "hash_type", str, what=what)
    if method not in {"files", "shards"} or hash_type not in HASHES:
        raise _unsupported(f"as '{shown(method)}' with '{shown(hash_type)}'")
    size = obj.get("shard_size")
    if type(size) is float and size.is_integer():
        size = int(size)  # model-signing 1.1 writes 200.0
    if (method == "shards") != ("shard_size" in obj):
        raise _unsupported(f"as '{shown(method)}' with the shard size {shown(str(size))}")
    paths = optional(obj, "ignore_paths", list, what=what) or []
    how = serialization(
        hash_type,
        shard_size=as_kind(size, int, what="shard size") if "shard_size" in obj else None,
        allow_symlinks=member(obj, "allow_symlinks", bool, what=what),
    )
    return how, tuple(as_kind(p, str, what="ignored path") for p in paths)


def _unsupported(what: str) -> FormatError:
    return FormatError(
        "unsupported-serialization",
        f"Signed {what}, which is not a way to sign a model.",
        "Sign it by files or shards with sha256, blake2b or blake3.",
    )


def _resources(items: list[Any], how: Serialization) -> list[Resource]:
    """Return the resources in the JSON objects `items`; `manifest` checks their names.

    There can be many, so members are looked up in place.

    Raises:
        FormatError: one is not an object with a name and a digest.
    """
    # model-signing writes the size of the shards into every algorithm.
    algorithms = {how.hash_type, f"{how.hash_type}-sharded-{how.shard_size}"}
    found = []
    for item in items:
        obj = as_kind(item, dict, what="resource")
        name, digest = obj.get("name"), obj.get("digest")
        algorithm = obj.get("algorithm")
        if type(name) is not str or type(digest) is not str or type(algorithm) is not str:
            for key in ("algorithm", "digest", "name"):  # says which one it is
                member(obj, key, str, what="resource")
        elif algorithm not in algorithms:
            message = "A resource has another hash than the manifest says."
            raise FormatError("bad-digest", message)
        else:
            found.append(Resource(name, digest_of(digest, how.hash_type)))
    return found


def digest_of(text: str, hash_type: str) -> bytes:
    """Return the digest that `text` spells in lower-case hex.

    Raises:
        FormatError: it is none of `hash_type`.
    """
    if len(text) != 2 * HASHES[hash_type] or not _HEX.fullmatch(text):
        raise FormatError(
            "bad-digest", "A resource of the manifest has no digest in lower-case hex."
        )
    return bytes.fromhex(text)
