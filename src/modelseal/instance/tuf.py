# SPDX-License-Identifier: Apache-2.0
"""The TUF repository: how clients that were given `root.json` once get the trusted root ever after.

One key signs all four roles: it lies beside the others in one process, and four keys in one place
are not safer than one. Metadata is renewed when half its life is over, on start and whenever a
client begins to ask, so that an instance that runs for years never serves an expired file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from sqlite3 import Connection

    from cryptography.hazmat.primitives.asymmetric import ed25519

    from modelseal.instance.database import Database

S = TypeVar("S", bound=Signed)

_LIVES = {
    "root": timedelta(days=3650),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=365),
    "timestamp": timedelta(days=30),
}


@dataclass(frozen=True)
class TufRepository:
    """The files below the instance's URL; consistent snapshots, all targets in the top role."""

    key: ed25519.Ed25519PrivateKey
    database: Database

    def publish(self, targets: dict[str, bytes], now: float) -> None:
        """Make `targets` the current ones; nothing is signed anew if they are and are fresh."""
        files = {
            name: TargetFile.from_data(name, data, ["sha256"]) for name, data in targets.items()
        }
        with self.database.transaction() as connection:
            for name, data in targets.items():
                path = f"{sha256(data).hexdigest()}.{name}"
                connection.execute("INSERT OR IGNORE INTO tuf_target VALUES (?, ?)", (path, data))
            current = _newest(connection, "targets", Targets)
            if current is None or current.targets != files:
                self._sign(connection, Targets(targets=files), now)
            self._refresh(connection, now)

    def metadata(self, name: str, now: float) -> bytes:
        """Return the metadata file `name`: `timestamp.json`, `N.root.json`, ...

        Raises:
            Refused: there is none; for a root one above the newest that is how clients stop.
        """
        if name.endswith(("timestamp.json", "root.json")):  # what clients ask for first
            with self.database.transaction() as connection:
                self._refresh(connection, now)
        with self.database.reading() as connection:
            version, _, role = name.removesuffix(".json").rpartition(".")
            if name in {"timestamp.json", "root.json"}:
                row = _row(connection, role)
            elif (
                version.isascii() and version.isdigit() and role in {"root", "targets", "snapshot"}
            ):
                row = connection.execute(
                    "SELECT body FROM tuf_file WHERE role = ? AND CAST(version AS TEXT) = ?",
                    (role, version),
                ).fetchone()
            else:
                row = None
        return _found(row)

    def root(self) -> bytes:
        """Return the newest root as it is, `root.json`; nothing is signed anew.

        Raises:
            Refused: there is none.
        """
        with self.database.reading() as connection:
            return _found(_row(connection, "root"))

    def target(self, path: str) -> bytes:
        """Return the target at `path`, its digest in front of its name.

        Raises:
            Refused: there is none.
        """
        with self.database.reading() as connection:
            row = connection.execute(
                "SELECT body FROM tuf_target WHERE path = ?", (path,)
            ).fetchone()
        return _found(row)

    def expires(self) -> datetime:
        """Return when the first of the newest metadata files expires.

        Raises:
            Refused: there are none.
        """
        with self.database.reading() as connection:
            files = [_found(_row(connection, role)) for role in _LIVES]
        moments: list[datetime] = [Metadata.from_bytes(body).signed.expires for body in files]
        return min(moments)

    def _refresh(self, connection: Connection, now: float) -> None:
        root = _newest(connection, "root", Root)
        if root is None or _ages(root, now):
            self._sign(connection, self._root(), now)
        targets = _newest(connection, "targets", Targets)
        if targets is not None and _ages(targets, now):
            self._sign(connection, targets, now)
        meta = _meta(connection, "targets")
        snapshot = _newest(connection, "snapshot", Snapshot)
        if snapshot is None or _ages(snapshot, now) or snapshot.meta != {"targets.json": meta}:
            self._sign(connection, Snapshot(meta={"targets.json": meta}), now)
        meta = _meta(connection, "snapshot")
        timestamp = _newest(connection, "timestamp", Timestamp)
        if timestamp is None or _ages(timestamp, now) or timestamp.snapshot_meta != meta:
            self._sign(connection, Timestamp(snapshot_meta=meta), now)

    def _root(self) -> Root:
        root = Root(consistent_snapshot=True)
        for role in _LIVES:
            root.add_key(CryptoSigner(self.key).public_key, role)
        return root

    def _sign(self, connection: Connection, signed: Signed, now: float) -> None:
        role = signed.type
        signed.version = _version(connection, role) + 1
        moment = datetime.fromtimestamp(int(now), UTC)
        signed.expires = moment + _LIVES[role]
        metadata = Metadata[Any](signed)
        metadata.sign(CryptoSigner(self.key))
        body = metadata.to_bytes(JSONSerializer(compact=False))
        connection.execute("INSERT INTO tuf_file VALUES (?, ?, ?)", (role, signed.version, body))


def _version(connection: Connection, role: str) -> int:
    (version,) = connection.execute(
        "SELECT max(version) FROM tuf_file WHERE role = ?", (role,)
    ).fetchone()
    return int(version or 0)


def _meta(connection: Connection, role: str) -> MetaFile:
    return MetaFile(version=_version(connection, role))


def _row(connection: Connection, role: str) -> tuple[bytes] | None:
    row: tuple[bytes] | None = connection.execute(
        "SELECT body FROM tuf_file WHERE role = ? ORDER BY version DESC LIMIT 1", (role,)
    ).fetchone()
    return row


def _newest(connection: Connection, role: str, kind: type[S]) -> S | None:
    row = _row(connection, role)
    if row is None:
        return None
    signed = Metadata.from_bytes(row[0]).signed
    return signed if isinstance(signed, kind) else None


def _ages(signed: Signed, now: float) -> bool:
    half = _LIVES[signed.type] / 2
    return signed.expires - datetime.fromtimestamp(int(now), UTC) < half


def _found(row: tuple[bytes] | None) -> bytes:
    if row is None:
        raise Refused(404, "not-found", "There is no such file.")
    return bytes(row[0])
