# SPDX-License-Identifier: Apache-2.0
"""Ways to bend what is written in a bundle: every member and item, after all was signed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every member and item, inner ones too."""
    if path:
        yield path
    if isinstance(value, (dict, list)):
        for name, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, name))


def holder(bundle: Any, path: Path) -> Any:
    for step in path[:-1]:
        bundle = bundle[step]
    return bundle


def bent(value: Any) -> Iterator[Any]:
    """Yield values near `value`."""
    if isinstance(value, str):
        if value.isdigit():
            yield from (str(int(value) + 1), str(max(int(value) - 1, 0)), "0", "-1", "")
            return
        yield from (value + "A", "", value[:-1], value + "\ud800")
        try:
            raw = bytearray(b64decode(value, validate=True))
        except ValueError:
            return
        for at in {0, len(raw) // 2, len(raw) - 1} if raw else ():
            changed = bytearray(raw)
            changed[at] ^= 1
            yield b64encode(changed).decode()
        yield b64encode(raw + b"\0").decode()
    elif isinstance(value, list):
        yield from ([], value * 2)
    elif isinstance(value, dict):
        yield {}
    yield None
