# SPDX-License-Identifier: Apache-2.0
"""What `modelseal instance` shows of an instance: status, doctor, and the entries of its logs."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelseal.cli._options import add_format
from modelseal.cli._run import ACCEPTED, REFUSED, answer, print_document
from modelseal.errors import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.cli._options import Options, Parser
    from modelseal.instance.database import Database
    from modelseal.instance.index import Row
    from modelseal.instance.report import Key

_AGO = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_log(parser: Parser) -> None:
    """Say which options `instance log` and `instance certificates` have."""
    parser.add_argument(
        "--identity", default="*", metavar="GLOB",
        help="Only those of identities like this, as alice@example.com or *@example.com.",
    )  # fmt: skip
    parser.add_argument(
        "--since", type=_moment, metavar="T",
        help="Only those since then: 2026-01-31, 2026-01-31T12:00:00Z, or 90m, 12h, 7d, 2w ago.",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=_count, default=-1, metavar="N", help="At most so many, the newest."
    )
    add_format(parser)


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time nor an age") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def show_status(data: Path, options: Options) -> int:
    """Print the status of the instance in `data`."""
    from modelseal.instance import report

    status = report.status(data)
    document: dict[str, Any] = {
        "url": status.url,
        "origin": status.origin,
        "running": status.running,
        "since": _iso(status.since),
        "log": {
            "entries": status.entries,
            "root": status.root.hex(),
            "last_entry": _iso(status.last_entry),
        },
        "certificates": status.certificates,
        "keys": [_key(one) for one in status.keys],
        "tuf_root": _fingerprint(status.tuf_root),
        "bytes": status.bytes_used,
    }
    if options.output == "json":
        print_document("instance status", ACCEPTED, instance=document)
        return ACCEPTED
    state = "running" if status.running else "not running"
    answer(f"{shown(status.url)} ({state})")
    for name, value in (
        ("origin", shown(status.origin)),
        ("since", _text(status.since)),
        ("log entries", f"{status.entries}, root {status.root.hex()[:16]}"),
        ("last entry", _text(status.last_entry)),
        ("certificates", str(status.certificates)),
        ("TUF root", _fingerprint(status.tuf_root)),
        ("size", f"{status.bytes_used / 1e6:.1f} MB"),
    ):
        answer(f"  {name:13} {value}")
    for one in status.keys:
        answer(f"  {one.service + ' key':13} {_key_text(one)}")
    return ACCEPTED


def _key(one: Key) -> dict[str, Any]:
    return {
        "service": one.service,
        "number": one.number,
        "begins": _iso(one.begins),
        "ends": _iso(one.ends),
        "private": one.private,
    }


def _key_text(one: Key) -> str:
    parts = [f"number {one.number}", f"signs from {one.begins:%Y-%m-%d %H:%M} on"]
    if one.ends is not None:
        parts.append(f"certificate until {one.ends:%Y-%m-%d}")
    if not one.private:
        parts.append("signs no more")
    return ", ".join(parts)


def show_doctor(data: Path, options: Options) -> int:
    """Print what was checked of the instance in `data`; 1 when something failed."""
    from modelseal.instance import report

    checks = report.doctor(data, datetime.now(UTC))
    code = REFUSED if any(one.result == "failed" for one in checks) else ACCEPTED
    if options.output == "json":
        print_document(
            "instance doctor", code,
            checks=[
                {"name": one.name, "result": one.result, "message": one.message,
                 "hint": "" if one.result == "ok" else one.hint}
                for one in checks
            ],
        )  # fmt: skip
        return code
    for one in checks:
        answer(f"{one.result:8} {one.name:13} {one.message}")
        if one.result != "ok" and one.hint:
            answer(f"{'':22} {one.hint}")
    return code


def show_log(data: Path, options: Options, log: str) -> int:
    """Print the entries of `log` (`log` or `ct`) of the instance in `data`, newest first."""
    import sqlite3
    from contextlib import closing

    from modelseal.errors import FormatError
    from modelseal.instance import index
    from modelseal.instance import state as states
    from modelseal.instance.database import Database

    state = states.started(data)
    since = 0 if options.since is None else int(options.since.timestamp())
    try:
        with closing(Database(state.database)) as database:
            rows = index.search(
                database, log, like=options.identity, since=since, limit=options.limit
            )
            if log == "ct":
                _print(options, "certificates", _certificates(database, rows))
            else:
                _print(options, "log", _entries(rows))
    except (sqlite3.Error, ValueError, FormatError) as error:
        raise states.damaged(data, error) from error
    return ACCEPTED


def _print(options: Options, name: str, found: Iterator[tuple[dict[str, Any], str]]) -> None:
    if options.output == "json":
        key = "certificates" if name == "certificates" else "entries"
        print_document(f"instance {name}", ACCEPTED, **{key: [one for one, _ in found]})
    else:
        for _, line in found:
            answer(line)


def _entries(rows: Iterator[Row]) -> Iterator[tuple[dict[str, Any], str]]:
    for row in rows:
        moment = datetime.fromtimestamp(row.time, UTC) if row.time else None
        document = {
            "index": row.position, "time": _iso(moment),
            "identity": row.identity, "issuer": row.issuer, "digest": row.digest,
        }  # fmt: skip
        if not row.digest:
            yield document, f"{row.position:>8}  the first entry, which names the log"
            continue
        who = shown(row.identity) or "(a key)"
        yield document, f"{row.position:>8}  {_text(moment)}  {who}  {row.digest[:16]}"


def _certificates(database: Database, rows: Iterator[Row]) -> Iterator[tuple[dict[str, Any], str]]:
    from modelseal.instance import index
    from modelseal.instance.tree import Tree

    for row in rows:
        with database.reading() as connection:
            (leaf,) = Tree(connection, "ct").bodies(row.position, 1)
        certificate = index.precertificate(leaf)
        moment = datetime.fromtimestamp(row.time, UTC)
        serial = f"{certificate.serial_number:x}"
        document = {
            "index": row.position, "time": _iso(moment),
            "identity": row.identity, "issuer": row.issuer, "serial": serial,
            "not_before": _iso(certificate.not_valid_before_utc),
            "not_after": _iso(certificate.not_valid_after_utc),
        }  # fmt: skip
        yield document, f"{row.position:>8}  {_text(moment)}  {shown(row.identity)}  {serial}"


def _fingerprint(root: bytes) -> str:
    from hashlib import sha256

    return f"sha256:{sha256(root).hexdigest()}"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _text(moment: datetime | None) -> str:
    return "none yet" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
