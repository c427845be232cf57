# SPDX-License-Identifier: Apache-2.0
"""Known publishers of signed models: a small file that is shipped, and that anybody can check.

Knowing somebody is not trusting them: a publisher counts only where it is named.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from datetime import date

FILE = Path(__file__).with_name("publishers.toml")


class Publisher(NamedTuple):
    """Who signs, how, and where that is known from.

    By `identity` with its issuer, vouched for by public Sigstore; or by a certificate of the CA
    with the certificate `root` (PEM), whose SHA-256 is `root_sha256`.
    """

    name: str
    title: str
    method: Literal["identity", "certificate"]
    bundles: tuple[str, ...]
    source: str
    evidence: str
    checked: date
    identity: str = ""
    issuer: str = ""
    root: str = ""
    root_sha256: str = ""


def known() -> dict[str, Publisher]:
    """Return the known publishers by name."""
    rows = tomllib.loads(FILE.read_text())
    return {
        name: Publisher(name, **{**row, "bundles": tuple(row["bundles"])})
        for name, row in rows.items()
    }


def named(name: str) -> Publisher:
    """Return the publisher called `name`.

    Raises:
        UsageError: there is none ("unknown-publisher").
    """
    publishers = known()
    if name not in publishers:
        near = get_close_matches(name, publishers, 1)
        meant = f"Did you mean '{near[0]}'? " if near else ""
        hint = f"{meant}modelseal publishers list"
        raise UsageError("unknown-publisher", f"No publisher '{shown(name)}' is known.", hint)
    return publishers[name]
