# SPDX-License-Identifier: Apache-2.0
"""What a bundle claims to sign: a claim until the signature over it has been checked."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from modelseal.errors import FormatError
from modelseal.formats import dsse, intoto, oms, rekor
from modelseal.trust.signature import HASHES, Prehashed

if TYPE_CHECKING:
    from modelseal.formats.bundle import Bundle
    from modelseal.verification.authentic import Kind


def claimed(bundle: Bundle, artifact: bytes | Prehashed | None = None) -> tuple[Kind, oms.Manifest]:
    """Return the kind of signature and the files that it is over.

    An `artifact` that is at hand is taken in place of the digest in the bundle.

    Raises:
        FormatError: the bundle signs no model.
    """
    if not isinstance(bundle.content, dsse.Envelope):
        if isinstance(artifact, bytes):
            artifact = Prehashed("sha256", sha256(artifact).digest())
        return "artifact", manifest_of(artifact or claimed_digest(bundle))
    if bundle.content.payload_type != intoto.PAYLOAD_TYPE:
        raise FormatError("payload-type", "The signed envelope does not hold an in-toto statement.")
    return "oms", oms.from_statement(intoto.parse(bundle.content.payload))


def claimed_digest(bundle: Bundle) -> Prehashed:
    """Return the digest that an artifact bundle claims to sign: its own note, else the log's.

    Raises:
        FormatError: none to be found, or of another hash than SHA-256, SHA-384 and SHA-512.
    """
    if isinstance(bundle.content, dsse.Envelope):
        raise FormatError("not-an-artifact", "The bundle signs a statement, not an artifact.")
    digest, name = bundle.content.digest, rekor.HASH_NAMES.get(bundle.content.algorithm or "")
    if digest is None and bundle.entries:
        body = rekor.parse(bundle.entries[0].body)
        digest, name = body.digest, body.algorithm
    if digest is None or name is None or len(digest) != HASHES[name].digest_size:
        raise FormatError(
            "unsupported-digest",
            "The artifact was not signed by its SHA-256, SHA-384 or SHA-512.",
            "Sign it with a P-256 key, as every Sigstore client does by default.",
        )
    return Prehashed(name, digest)


def manifest_of(artifact: Prehashed) -> oms.Manifest:
    """Return the manifest of one file with this digest."""
    how = oms.Serialization(hash_type=artifact.algorithm)
    return oms.Manifest((oms.Resource(oms.SINGLE_FILE, artifact.digest),), (), how)


def has_old_predicate(bundle: Bundle) -> bool:
    """Return whether the bundle signs a statement in the form of model-signing 0.2.

    Raises:
        FormatError: not a statement.
    """
    if not isinstance(bundle.content, dsse.Envelope):
        return False
    return intoto.parse(bundle.content.payload).predicate_type == oms.OLD_PREDICATE_TYPE
