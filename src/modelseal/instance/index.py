# SPDX-License-Identifier: Apache-2.0
"""What the two logs can be searched by: identity, digest, time.

The index is for finding and proves nothing: it is made from the leaves, and again if it is lost.
The time of a transparency log's entry is the exception: the leaves have none, so it is only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from modelseal.errors import FormatError
from modelseal.formats import der, rekor
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence

    from modelseal.instance.database import Database

_ARC = "1.3.6.1.4.1.57264.1"
_ISSUER_V2 = 8
_RAW_UP_TO = 6  # later ones are DER UTF8Strings
_TIMESTAMP = slice(2, 10)  # of a leaf of the CT log (RFC 6962 section 3.4), in milliseconds
_LENGTH = slice(44, 47)  # of the certificate without SCTs, which follows
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_BIT_STRING = 0x03
_PAGE = 256


@dataclass(frozen=True)
class Found:
    """Who and what an entry names, empty where it names nobody or nothing."""

    identity: str = ""
    issuer: str = ""
    digest: str = ""  # of what was signed, in hex
    time: int = 0  # when its certificate begins


@dataclass(frozen=True)
class Row:
    """An entry of a log as the index knows it; `time` is when it was logged."""

    position: int
    time: int
    identity: str
    issuer: str
    digest: str


def of_entry(body: bytes, cas: Sequence[x509.Certificate]) -> Found:
    """Return what the transparency log's entry `body` names.

    The identity is only that of a certificate that one of `cas` issued: anybody can write one.
    """
    try:
        logged = rekor.parse(body)
    except FormatError:  # the first entry, which names the log
        return Found()
    digest, first = logged.digest.hex(), logged.signatures[0]
    certificate = load(first.verifier) if first.form == "x509Certificate" else None
    if certificate is None or not is_issued_by(certificate, cas):
        return Found(digest=digest)
    issued = int(certificate.not_valid_before_utc.timestamp())
    return Found(*identity_of(certificate), digest, issued)


def load(der_bytes: bytes) -> x509.Certificate | None:
    """Return the certificate in `der_bytes`, None if any part of it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der_bytes)
        for part in _READ_LATER:
            getattr(certificate, part)
    except _UNREADABLE:
        return None
    return certificate


# What hostile DER makes the library raise, which reads some parts when they are asked for.
_UNREADABLE = (
    ValueError, TypeError, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
_READ_LATER = ("extensions", "issuer", "subject", "not_valid_before_utc", "not_valid_after_utc")


def is_issued_by(certificate: x509.Certificate, cas: Sequence[x509.Certificate]) -> bool:
    """Return whether one of `cas` signed `certificate`."""
    for ca in cas:
        try:
            certificate.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


def of_certificate(leaf: bytes) -> Found:
    """Return what the CT log's entry `leaf` names."""
    certificate, moment = load(_unsigned(leaf)), int(logged_at(leaf))
    if certificate is None:
        return Found(time=moment)
    return Found(*identity_of(certificate), time=moment)


def precertificate(leaf: bytes) -> x509.Certificate:
    """Return the certificate that the CT log's entry `leaf` is for, with an empty signature.

    Raises:
        ValueError: it cannot be read.
    """
    return x509.load_der_x509_certificate(_unsigned(leaf))


def _unsigned(leaf: bytes) -> bytes:
    start = _LENGTH.stop
    tbs = leaf[start : start + int.from_bytes(leaf[_LENGTH])]
    no_signature = _ECDSA_SHA256 + der.element(_BIT_STRING, b"\x00")
    return der.element(der.SEQUENCE, tbs, no_signature)


def logged_at(leaf: bytes) -> float:
    """Return the time of the CT log's entry `leaf`."""
    return int.from_bytes(leaf[_TIMESTAMP]) / 1000


def identity_of(certificate: x509.Certificate) -> tuple[str, str]:
    """Return the identity and its issuer in `certificate`, empty where it has none."""
    names: list[x509.GeneralName] = []
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            names = list(extension.value)
    identity = next((name.value for name in names if isinstance(name.value, str)), "")
    return identity, claims_of(certificate).get(_ISSUER_V2, "")


def claims_of(certificate: x509.Certificate) -> dict[int, str]:
    """Return the texts of Fulcio's extensions in `certificate`, by the last number of the OID."""
    claims = {}
    for extension in certificate.extensions:
        arc, _, number = extension.oid.dotted_string.rpartition(".")
        if arc == _ARC and isinstance(extension.value, x509.UnrecognizedExtension):
            claims[int(number)] = _text(int(number), extension.value.value)
    return claims


def _text(number: int, value: bytes) -> str:
    if number <= _RAW_UP_TO:
        return value.decode(errors="replace")
    try:
        return der.Reader(value, "bad-certificate", "claim").content(der.UTF8_STRING).decode()
    except (FormatError, UnicodeDecodeError):
        return ""


def insert(
    connection: sqlite3.Connection, log: str, position: int, time: int, found: Found
) -> None:
    """Add the entry at `position` of `log`, inside a transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO about VALUES (?, ?, ?, ?, ?, ?)",
        (log, position, time, found.identity, found.issuer, found.digest),
    )


def search(
    database: Database, log: str, *, identity: str = "", like: str = "", digest: str = "",
    since: int = 0, before: int | None = None, limit: int = -1,
) -> Iterator[Row]:  # fmt: skip
    """Yield the entries of `log`, newest first, that match all that is given.

    `like` is a glob pattern for identities, as of a shell, for which all are read; `before` is a
    position.
    """
    while limit:
        count = _PAGE if limit < 0 else min(limit, _PAGE)
        found = _page(database, log, (identity, like, digest, since, before), count)
        yield from found
        if len(found) < count:
            return
        before, limit = found[-1].position, limit - len(found) if limit > 0 else limit


def _page(
    database: Database, log: str, wanted: tuple[str, str, str, int, int | None], count: int
) -> list[Row]:
    identity, like, digest, since, before = wanted
    conditions, values = ["log = ?"], [log]
    for condition, value, given in (
        ("identity = ?", identity, bool(identity)),
        ("identity GLOB ?", like, like not in {"", "*"}),
        ("digest = ?", digest, bool(digest)),
        ("time >= ?", since, since > 0),
        ("position < ?", before, before is not None),
    ):
        if given:
            conditions.append(condition)
            values.append(value)  # type: ignore[arg-type] # SQLite takes both
    with database.reading() as connection:
        rows = connection.execute(
            "SELECT position, time, identity, issuer, digest FROM about "  # noqa: S608 - our words
            f"WHERE {' AND '.join(conditions)} ORDER BY position DESC LIMIT ?",
            (*values, count),
        ).fetchall()
    return [Row(*row) for row in rows]


def complete(database: Database, log: str, read: Callable[[bytes], Found]) -> None:
    """Add the entries of `log` that an older modelseal logged, which had no index.

    `read` is `of_entry` or `of_certificate`.
    """
    while True:
        with database.transaction() as connection:
            (last,) = connection.execute(
                "SELECT max(position) FROM about WHERE log = ?", (log,)
            ).fetchone()
            indexed = 0 if last is None else int(last) + 1
            bodies = Tree(connection, log).bodies(indexed, _PAGE)
            for position, body in enumerate(bodies, indexed):
                found = read(body)
                insert(connection, log, position, found.time, found)
        if not bodies:
            return
