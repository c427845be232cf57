# SPDX-License-Identifier: Apache-2.0
"""Changes are noticed by inotify, and without it as well."""

from __future__ import annotations

import asyncio

import pytest
import watchfiles
from patience import PATIENCE

from modelseal.servers.watch import changes


async def _noticed(folders, change, *, every):
    """Return whether `change` was noticed."""
    found = changes(folders, every)
    first = asyncio.ensure_future(anext(found))
    while not first.done():
        change()
        await asyncio.sleep(0.05)
    await asyncio.wait_for(first, PATIENCE)
    await found.aclose()
    return True


def test_inotify_tells_long_before_the_next_look(tmp_path):
    path = tmp_path / "policy.toml"
    change = lambda: path.write_text("x")  # noqa: E731
    assert asyncio.run(_noticed(lambda: {tmp_path}, change, every=10 * PATIENCE))


@pytest.mark.parametrize("folders", [set(), {"gone"}])
def test_without_a_folder_it_looks_all_the_same(tmp_path, folders):
    given = {tmp_path / name for name in folders}
    assert asyncio.run(_noticed(lambda: given, lambda: None, every=0.1))


def test_without_watches_left_it_looks_all_the_same(tmp_path, monkeypatch, caplog):
    def awatch(*_, **__):
        raise OSError("OS file watch limit reached")

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    assert asyncio.run(_noticed(lambda: {tmp_path}, lambda: None, every=0.1))
    assert "inotify cannot be used" in caplog.text
