# SPDX-License-Identifier: Apache-2.0
"""No going back: when the newest version of a model that was accepted was signed.

STORE/.accepted/<SHA-256 of the model's name>.json, for rules with `rollback = "deny"`.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from modelseal import outputs
from modelseal.admission import store as stores
from modelseal.errors import FormatError, Undecided, shown
from modelseal.files import exists, read_untrusted
from modelseal.formats.strict import as_kind, member, parse_json

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from modelseal.policy.decide import Agreement

_FOLDER = ".accepted"
_LIMIT = 64 * 1024  # bytes
_WHAT = "record of accepted versions"


def newest(store: Path, model: str) -> datetime | None:
    """Return when the newest accepted version of `model` was signed; None if none was recorded.

    Raises:
        Undecided: exists is a record that cannot be read ("history-unreadable").
    """
    path = _path(store, model)
    if not exists(path):
        return None
    from datetime import datetime  # noqa: PLC0415 - 3 ms that few rules need

    try:
        obj = as_kind(
            parse_json(read_untrusted(path, _LIMIT, _WHAT), what=_WHAT, limit=_LIMIT),
            dict,
            what=_WHAT,
        )
        return datetime.fromisoformat(member(obj, "signed", str, what=_WHAT))
    except (FormatError, ValueError) as error:
        raise Undecided(
            "history-unreadable",
            f"The {_WHAT} of '{shown(model)}', '{shown(str(path))}', cannot be read.",
            "Find out who changed the store. Without the record an older version could come back.",
        ) from error


def remember(store: Path, agreement: Agreement) -> None:
    """Record that the version of `agreement` was accepted, unless a newer one was.

    Raises:
        Undecided: it cannot be written.
    """
    if agreement.rule.rollback != "deny" or agreement.time is None:
        return
    with stores.locked(store):
        known = newest(store, agreement.model)
        if known is not None and known >= agreement.time:
            return
        path = _path(store, agreement.model)
        with stores.translated(store):
            path.parent.mkdir(mode=0o700, exist_ok=True)
        record = {"model": agreement.model, "signed": agreement.time.isoformat()}
        outputs.write(path, json.dumps(record).encode(), mode=0o600)


def sweep(store: Path) -> None:
    """Remove what a process left behind that was killed while it wrote a record.

    Raises:
        Undecided: the store cannot be used.
    """
    folder = store / _FOLDER
    with stores.translated(store):
        if not folder.is_dir() or not list(folder.glob(".*.tmp")):
            return
        with stores.locked(store):  # now nobody writes one
            for left in folder.glob(".*.tmp"):
                left.unlink(missing_ok=True)


def _path(store: Path, model: str) -> Path:
    name = sha256(model.encode("utf-8", "surrogateescape")).hexdigest()
    return store / _FOLDER / f"{name}.json"
