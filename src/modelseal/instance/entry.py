# SPDX-License-Identifier: Apache-2.0
"""One entry of the transparency log, decoded and checked again, for the page that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal.errors import FormatError
from modelseal.formats import checkpoint, merkle, note, rekor
from modelseal.instance import index
from modelseal.instance.claims import NAMES
from modelseal.instance.refused import Refused
from modelseal.instance.tlog import LOG
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from modelseal.instance.tlog import TransparencyLog


@dataclass(frozen=True)
class Certificate:
    """What a certificate in an entry says; `identity` counts only if it is `ours`."""

    ours: bool
    identity: str
    issuer: str
    issued_by: str
    serial: str
    begins: datetime
    ends: datetime
    key: str
    fingerprint: str
    claims: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Shown:
    """An entry; it is `included` if a proof leads from it to the signed root of `size` entries."""

    position: int
    time: int
    body: bytes
    logged: rekor.Body | None  # None for the first entry
    certificates: tuple[Certificate | None, ...]  # one for each signature, None for a bare key
    included: bool
    size: int
    root: bytes


def look_up(log: TransparencyLog, position: int) -> Shown:
    """Return the entry at `position`, having checked its inclusion anew.

    Raises:
        Refused: there is none.
    """
    with log.database.reading() as connection:
        tree = Tree(connection, LOG)
        bodies = tree.bodies(position, 1)
        if not bodies:
            raise Refused(404, "not-found", f"The log has no entry {position}.")
        signed = checkpoint.parse_checkpoint(note.parse_note(log.checkpoint()).text)
        proof = merkle.inclusion_proof(position, signed.size, tree.node)
    row = next(index.search(log.database, LOG, before=position + 1, limit=1), None)
    leaf = merkle.leaf_hash(bodies[0])
    try:
        logged = rekor.parse(bodies[0])
    except FormatError:
        logged = None
    return Shown(
        position=position,
        time=row.time if row is not None and row.position == position else 0,
        body=bodies[0],
        logged=logged,
        certificates=tuple(
            _certificate(one, log.cas) for one in (logged.signatures if logged else ())
        ),
        included=merkle.root_from_inclusion(leaf, position, signed.size, proof) == signed.root,
        size=signed.size,
        root=signed.root,
    )


def _certificate(
    signature: rekor.LoggedSignature, cas: Sequence[x509.Certificate]
) -> Certificate | None:
    if signature.form != "x509Certificate":
        return None
    certificate = index.load(signature.verifier)
    if certificate is None:
        return None
    identity, issuer = index.identity_of(certificate)
    return Certificate(
        ours=index.is_issued_by(certificate, cas),
        identity=identity,
        issuer=issuer,
        issued_by=certificate.issuer.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        key=_key(certificate),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        claims=tuple(
            (NAMES[number], value)
            for number, value in index.claims_of(certificate).items()
            if number in NAMES
        ),
    )


def _key(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return "Ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else "another kind"
