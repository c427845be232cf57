# SPDX-License-Identifier: Apache-2.0
"""What a monitor remembers of a log between two looks, in a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelseal import files, outputs
from modelseal.errors import FormatError, UsageError, shown
from modelseal.formats.merkle import HASH_SIZE
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.monitor.edge import Edge

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT = 1 << 20
_VERSION = 1
_WHAT = "state of the monitor"


@dataclass(frozen=True)
class Memory:
    """The tree that was checked last, its signed checkpoint, and when the log grew last."""

    origin: str
    edge: Edge
    checkpoint: str
    grown: datetime = field(default_factory=lambda: datetime.now(UTC))


def load(path: Path) -> Memory | None:
    """Return what is in the file at `path`, None if there is none yet.

    Raises:
        UsageError: it is not the state of a monitor. Undecided: it cannot be read.
    """
    if not files.exists(path):
        return None
    data = files.read_trusted(path, _LIMIT, _WHAT)
    try:
        return _parsed(data)
    except (FormatError, ValueError) as error:
        raise UsageError(
            "monitor-state", f"'{shown(str(path))}' is not the state of a monitor.",
            "Give the right file; without one the monitor begins anew, and trusts what it sees.",
        ) from error  # fmt: skip


def _parsed(data: bytes) -> Memory:
    state = as_kind(parse_json(data, what=_WHAT, limit=_LIMIT), dict, what=_WHAT)
    version, size = (member(state, name, int, what=_WHAT) for name in ("version", "size"))
    hashes = tuple(
        bytes.fromhex(as_kind(one, str, what=_WHAT))
        for one in member(state, "edge", list, what=_WHAT)
    )
    whole = size >= 0 and len(hashes) == size.bit_count()
    if version != _VERSION or not whole or any(len(one) != HASH_SIZE for one in hashes):
        raise ValueError("of another version, or not whole")
    return Memory(
        member(state, "origin", str, what=_WHAT),
        Edge(size, hashes),
        member(state, "checkpoint", str, what=_WHAT),
        datetime.fromisoformat(member(state, "grown", str, what=_WHAT)).astimezone(UTC),
    )


def save(path: Path, memory: Memory) -> None:
    """Replace the file at `path`.

    Raises:
        Undecided: it cannot be written.
    """
    state: dict[str, Any] = {
        "version": _VERSION,
        "origin": memory.origin,
        "size": memory.edge.size,
        "edge": [one.hex() for one in memory.edge.hashes],
        "checkpoint": memory.checkpoint,
        "grown": memory.grown.isoformat(),
    }
    outputs.write(path, json.dumps(state, indent=2).encode() + b"\n")
