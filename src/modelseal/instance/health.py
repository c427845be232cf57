# SPDX-License-Identifier: Apache-2.0
"""Whether an instance can sign, and its figures for Prometheus."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from modelseal.instance import ctlog, tlog
from modelseal.instance.refused import Refused
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    from modelseal.instance.services import Services

Gauges = dict[str, tuple[str, float]]  # by name: what it means, and how much it is
_SPACE = 32 << 20


def check(services: Services) -> None:
    """Check that the instance can sign.

    Raises:
        Refused: the clock was set back, or the disk is nearly full. sqlite3.Error: no database.
    """
    services.clock()
    services.log.checkpoint()
    free = shutil.disk_usage(services.state.folder).free
    if free < _SPACE:
        raise Refused(503, "storage", f"Only {free >> 20} MiB are free on the disk.")


def gauges(services: Services) -> Gauges:
    """Return how large the logs are, and when what signs ends."""
    state = services.state
    with services.log.database.reading() as connection:
        entries, certificates = (Tree(connection, name).size() for name in (tlog.LOG, ctlog.LOG))
    size = sum(one.stat().st_size for one in state.folder.glob("log.db*"))
    ends = {name: getattr(state.keys, name)[-1].chain[0].not_valid_after_utc
            for name in ("ca", "tsa")}  # fmt: skip
    return {
        "log_entries": ("Entries of the transparency log.", entries),
        "certificates": ("Entries of the certificate transparency log.", certificates),
        "database_bytes": ("Size of the database.", size),
        "disk_free_bytes": ("Free space beside it.", shutil.disk_usage(state.folder).free),
        "ca_ends_seconds": ("When the CA certificate ends.", ends["ca"].timestamp()),
        "tsa_ends_seconds": ("When the timestamp certificate ends.", ends["tsa"].timestamp()),
        "tuf_ends_seconds": ("When the TUF metadata ends.", services.tuf.expires().timestamp()),
    }
