# SPDX-License-Identifier: Apache-2.0
"""Notice changes of the files in some folders: by inotify where it works, else by looking."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_DEBOUNCE = 200  # milliseconds: several writes at once are one change
_STEP = 100  # milliseconds

logger = logging.getLogger(__name__)


async def changes(folders: Callable[[], set[Path]], every: float) -> AsyncIterator[None]:
    """Yield when something in the folders may have changed, at the latest after `every` seconds.

    Network file systems tell nothing of what other machines write, and inotify can be used up or
    missing: the caller looks at the files each time, so that such a change is only noticed later.
    """
    from watchfiles import awatch  # noqa: PLC0415 - for servers only

    warned = False
    while True:
        watched = {folder for folder in folders() if folder.is_dir()}
        try:
            async for _ in awatch(
                *watched, watch_filter=None, debounce=_DEBOUNCE, step=_STEP,
                rust_timeout=int(every * 1000), yield_on_timeout=True, recursive=False,
            ):  # fmt: skip
                yield
                if {folder for folder in folders() if folder.is_dir()} != watched:
                    break
        except (OSError, RuntimeError) as error:  # no watches left, or a folder has just gone
            if not warned:
                logger.warning("looking every %g s, as inotify cannot be used: %s", every, error)
            warned = True
            await asyncio.sleep(every)
            yield
