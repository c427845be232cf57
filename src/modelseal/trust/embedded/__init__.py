# SPDX-License-Identifier: Apache-2.0
"""Trusted roots of the two public Sigstore instances, as this release believes them.

What TUF has fetched since is newer and wins; these make a machine that never was online able to
verify. Whence they come stands in README.md beside them.
"""

from __future__ import annotations

PUBLIC_GOOD, STAGING = "public-good", "staging"


def embedded(name: str) -> bytes:
    """Return the trusted root (JSON) of the instance `name`, one of the two above."""
    from importlib.resources import files  # noqa: PLC0415 - a trusted root of one's own needs none

    return (files(__name__) / f"{name}.json").read_bytes()
