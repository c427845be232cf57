# SPDX-License-Identifier: Apache-2.0
"""The certificate transparency log (RFC 6962): every certificate the CA issues is a leaf here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.formats.sct import Sct, precert_leaf
from modelseal.instance import index
from modelseal.instance.spki import spki
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    from cryptography import x509

    from modelseal.instance.database import Batch, Database

LOG = "ct"


@dataclass(frozen=True)
class CtLog:
    """A log that takes what our own CA issues, and nothing else."""

    key: ec.EllipticCurvePrivateKey
    database: Database

    def log_id(self) -> bytes:
        """Return the SHA-256 of the public key: how SCTs name this log."""
        return sha256(spki(self.key.public_key())).digest()

    def add(self, tbs: bytes, issuer: x509.Certificate, now: float) -> Sct:
        """Log the certificate without SCTs `tbs`, then return the promise that it is logged."""
        timestamp = int(now * 1000)
        issuer_key_hash = sha256(spki(issuer.public_key())).digest()
        leaf = precert_leaf(timestamp, issuer_key_hash, tbs)
        found = index.of_certificate(leaf)

        def append(batch: Batch) -> None:
            position = Tree(batch.connection, LOG).append(leaf)
            index.insert(batch.connection, LOG, position, int(now), found)

        self.database.together(append, lambda _batch, _nothing: None)
        signature = self.key.sign(leaf, ec.ECDSA(hashes.SHA256()))
        return Sct(self.log_id(), timestamp, signature)


def last_time(database: Database) -> float:
    """Return when the newest certificate was logged; 0 before the first."""
    with database.reading() as connection:
        tree = Tree(connection, LOG)
        bodies = tree.bodies(tree.size() - 1, 1)
    return index.logged_at(bodies[0]) if bodies else 0.0
