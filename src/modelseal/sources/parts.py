# SPDX-License-Identifier: Apache-2.0
"""Files that come in parts: continued where an earlier try stopped, never longer than listed."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from modelseal.sources.base import changed_at_source, transfer_failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from modelseal.sources.base import Count, Object


def path_of(folder: Path, one: Object) -> Path:
    """Return where below `folder` the part of `one` is; of other bytes it is elsewhere."""
    return folder / sha256(json.dumps(one).encode()).hexdigest()


def save(
    uri: str, one: Object, path: Path, read: Callable[[int], Iterable[bytes]], count: Count
) -> None:
    """Have all bytes of `one` in the file `path`; `read` gives those from an offset on.

    If nobody knows how many there are, it begins anew.

    Raises:
        FormatError: there are more than were listed.
        Undecided: there are fewer, which is continued the next time.
    """
    with path.open("wb" if one.size is None else "ab") as file:
        done = file.tell()
        count(done)
        if done != one.size:
            for chunk in read(done):
                done += len(chunk)
                if one.size is not None and done > one.size:
                    break
                file.write(chunk)
                count(len(chunk))
    if one.size is None or done == one.size:
        return
    if done > one.size:
        path.unlink()
        raise changed_at_source(uri, one.name)
    raise transfer_failed(uri, f"it stopped after {done:,} of {one.size:,} bytes")


def fingerprint(objects: Sequence[Object]) -> str:
    """Return the digest of what a source lists, for sources that have no revisions of their own."""
    lines = sorted(json.dumps(one) for one in objects)
    return f"sha256:{sha256(chr(10).join(lines).encode()).hexdigest()}"
