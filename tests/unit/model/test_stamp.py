# SPDX-License-Identifier: Apache-2.0
"""What the file system says of a folder: no change unnoticed, nothing that cannot be stamped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from modelseal.errors import FormatError, UsageError
from modelseal.model import stamp, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("a", "sub/b", ".git/x"):
        (folder / name).write_text("content")
    (folder / "link").symlink_to("a")
    return folder


def move(folder: Path, old: str, new: str) -> None:
    (folder / old).rename(folder / new)


def turn(link: Path, target: str) -> None:
    link.unlink()
    link.symlink_to(target)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: (model / "a").write_text("CONTENT"),
        lambda model: os.utime(model / "sub" / "b", ns=(1, 1)),
        lambda model: (model / ".git" / "x").write_text("other content"),
        lambda model: (model / "new").touch(),
        lambda model: (model / "sub" / "new").mkdir(),
        lambda model: (model / "a").unlink(),
        lambda model: move(model, "a", "c"),
        lambda model: move(model, "a", "sub/a"),
        lambda model: move(model, "sub/b", "b"),
        lambda model: turn(model / "link", "sub/b"),
        lambda model: os.mkfifo(model / "fifo"),
        lambda model: (model / "a").chmod(0o400),
    ],
)
def test_every_change_changes_the_stamp(model: Path, change: Callable[[Path], object]) -> None:
    before = stamp.of_folder(model)
    assert stamp.of_folder(model) == before
    change(model)
    assert stamp.of_folder(model) != before


def test_a_folder_that_no_walk_gets_through_has_a_stamp_too(model: Path) -> None:
    os.mkfifo(model / "fifo")
    (model / "out").symlink_to("/etc/passwd")
    (model / os.fsdecode(b"\xff.bin")).touch()
    (model / "new\nline").touch()
    model.joinpath(*["d"] * 80).mkdir(parents=True)
    assert stamp.of_folder(model) == stamp.of_folder(model)


def test_a_folder_that_cannot_be_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs this may be root, whom no permission stops."""
    before = stamp.of_folder(model)
    real = os.open

    def denied(path, *rest, **more):
        if path == "sub":
            raise PermissionError(13, "denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", denied)
    assert stamp.of_folder(model) == stamp.of_folder(model) != before


def test_no_file_is_opened(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], os.open

    def counted(path, *rest, **more):
        opened.append(str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", counted)
    stamp.of_folder(model)
    assert sorted(opened) == sorted([str(model), "sub", ".git"])


def test_a_folder_of_more_than_a_model_may_have_is_not_looked_through(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    assert stamp.of_folder(model) == stamp.of_folder(model)


def test_what_is_no_folder_has_none(model: Path) -> None:
    (model.parent / "link").symlink_to(model)
    with pytest.raises(FormatError):
        stamp.of_folder(model.parent / "link")
    with pytest.raises(UsageError):
        stamp.of_folder(model / "nothing")
