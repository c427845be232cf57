# SPDX-License-Identifier: Apache-2.0
"""What is in a store: snapshots, and what must not be left beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def snapshots(store: Path) -> set[str]:
    """Return the names of the snapshots, having checked that there is nothing but them.

    Each has its record, and there is no record more; no copy is half-made.
    """
    found = {path.name for path in store.iterdir()}
    names = {name for name in found if not name.startswith(".")}
    assert found - names <= {".lock", ".snapshots", ".accepted"}
    records = {path.stem for path in (store / ".snapshots").glob("*")}
    assert records == names
    assert not list(store.glob(".accepted/.*"))
    return names
