# SPDX-License-Identifier: Apache-2.0
"""The cache of the Hugging Face Hub, whose snapshots are links to files beside them.

Source: huggingface_hub 0.8 to 2.4, `file_download.py` and `utils/_shared_blobs.py`:

    CACHE/models--ORG--NAME/snapshots/COMMIT/FILE    a link to ../../blobs/HASH
    CACHE/models--ORG--NAME/blobs/HASH               a file, or a link to ../../blobs/XX/XET_HASH
    CACHE/models--ORG--NAME/refs, trees              which commits there are, and their files
    CACHE/blobs/XX/XET_HASH                          a file that several repositories share
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from modelseal.model.links import Parts

_REPOSITORY = re.compile(r"(models|datasets|spaces|kernels)--.+", re.DOTALL)
_SHARED_PREFIX = re.compile(r"[0-9a-f]{2}")
_SHARED = re.compile(r"[0-9a-f]{64}")
_BLOBS = "blobs"
_SNAPSHOTS = "snapshots"


def located(real: str) -> tuple[Path, Parts] | None:
    """Return the cache that the folder at the real path `real` is in, and where in it.

    None unless the folder is a snapshot or inside one.
    """
    if f"/{_SNAPSHOTS}/" not in real:
        return None
    parts = Path(real).parts
    for at in range(len(parts) - 3, 0, -1):
        if parts[at + 1] == _SNAPSHOTS and _REPOSITORY.fullmatch(parts[at]):
            return Path(*parts[:at]), parts[at:]
    return None


def own_names(folder: str, inner: Collection[str]) -> frozenset[str]:
    """Return the names of what is no model in a `folder` that has the folders `inner`.

    None unless they are called like a repository, or a cache of some.
    """
    if _REPOSITORY.fullmatch(folder) and _SNAPSHOTS in inner:
        return frozenset({_BLOBS, "refs", "trees"})
    if any(_REPOSITORY.fullmatch(name) for name in inner):
        return frozenset({_BLOBS, "version.txt", "CACHEDIR.TAG"})
    return frozenset()


def may_lead_to(repository: str, target: Parts) -> bool:
    """Return whether a link of a snapshot may lead by or to `target`, a path below the cache.

    Into its own repository, or to a shared file, which no other name in the cache can pass for.
    """
    if not target or target[0] == repository:
        return True
    patterns = (None, _SHARED_PREFIX, _SHARED)
    if target[0] != _BLOBS or len(target) > len(patterns):
        return False
    return all(p is None or p.fullmatch(part) for p, part in zip(patterns, target, strict=False))
