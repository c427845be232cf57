# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError
from modelseal.model import manifest, scope, tree
from modelseal.model.diff import compare
from modelseal.model.digests import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def code_of(path: Path) -> str:
    with pytest.raises(ModelSealError) as refused:
        manifest.of_folder(path)
    assert refused.value.message
    assert "\n" not in refused.value.message
    return refused.value.code


def test_every_file_is_listed_with_its_digest(tmp_path: Path) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "a.bin").write_bytes(b"a" * 3_000_000)
    (tmp_path / "sub" / "deep" / "b").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(b"h")
    found = manifest.of_folder(tmp_path).manifest
    assert [(r.name, r.digest) for r in found.resources] == [
        (".hidden", hashlib.sha256(b"h").digest()),
        ("a.bin", hashlib.sha256(b"a" * 3_000_000).digest()),
        ("sub/deep/b", hashlib.sha256(b"").digest()),
    ]


def test_defaults_are_ignored_at_the_top_only(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / ".git").mkdir(parents=True)
        (folder / ".git" / "x").write_bytes(b"x")
    (tmp_path / "model.sig").write_bytes(b"s")
    found = manifest.of_folder(tmp_path, scope.to_sign(tmp_path)).manifest
    assert [r.name for r in found.resources] == ["sub/.git/x"]


def test_progress_counts_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 2_500_000)
    steps: list[int] = []
    manifest.of_folder(tmp_path, reading=Reading(progress=steps.append))
    assert sum(steps) == 2_500_000


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc/passwd")
    assert code_of(tmp_path) == "symlink"


def test_a_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/etc")
    assert code_of(tmp_path) == "symlink"


def test_the_model_itself_must_not_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert code_of(tmp_path / "link") == "symlink"


def test_a_fifo_is_refused_without_blocking(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert code_of(tmp_path) == "special-file"


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        assert code_of(tmp_path) == "special-file"


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "empty-model"


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin"))).write_bytes(b"x")
    assert code_of(tmp_path) == "name-not-utf8"


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        manifest.of_folder(tmp_path / "nothing")
    assert refused.value.code == "not-found"


@contextmanager
def as_plain_user() -> Iterator[Path]:
    """Give a folder of a user to whom permissions apply, which they do not to root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        nobody = 65534
        if os.geteuid() == 0:
            os.chown(folder, nobody, nobody)
            os.seteuid(nobody)
            try:
                yield folder
            finally:
                os.seteuid(0)
        else:
            yield folder


def test_a_folder_without_read_permission() -> None:
    with as_plain_user() as model:
        (model / "closed").mkdir(mode=0)
        assert code_of(model) == "unreadable"
        (model / "closed").chmod(0o700)


def test_lost_and_found_of_a_volume_is_no_part_of_the_model() -> None:
    """At the top of every ext4 volume, and only root may look into it."""
    with as_plain_user() as model:
        (model / "a").write_bytes(b"a")
        (model / "sub").mkdir()
        made = [model / "lost+found", model / "sub" / "lost+found"]
        for folder in made:
            folder.mkdir(mode=0o700)
        if os.getuid() != 0:
            pytest.skip("needs root, to have folders that are root's")
        plain = os.geteuid()
        as_root(lambda: [os.chown(folder, 0, 0) for folder in made])
        assert code_of(model) == "unreadable"  # of the one further down
        as_root(made[1].rmdir)
        found = manifest.of_folder(model).manifest
        assert [r.name for r in found.resources] == ["a"]

        as_root(lambda: (made[0] / "planted").write_bytes(b"x"))
        as_root(lambda: made[0].chmod(0o755))
        assert len(manifest.of_folder(model).manifest.resources) == 2
        as_root(lambda: made[0].chmod(0o700))
        as_root(lambda: os.chown(made[0], 1, 1))
        assert code_of(model) == "unreadable"  # somebody else's is not believed to be empty
        os.seteuid(0)
        os.chown(made[0], 0, 0)
        assert len(manifest.of_folder(model).manifest.resources) == 2
        os.seteuid(plain)


def as_root(act: Callable[[], object]) -> None:
    plain = os.geteuid()
    os.seteuid(0)
    try:
        act()
    finally:
        os.seteuid(plain)


def test_deep_folders_are_bounded(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    (deep / "x").write_bytes(b"x")
    with pytest.raises(FormatError) as refused:
        manifest.of_folder(tmp_path)
    assert refused.value.code == "too-deep"


def test_a_large_file_is_read_ahead_to_the_same_digest(tmp_path: Path) -> None:
    data = os.urandom(1_000_003) * 70
    (tmp_path / "a").write_bytes(data)
    assert (
        manifest.of_folder(tmp_path).manifest.resources[0].digest == hashlib.sha256(data).digest()
    )


@pytest.mark.parametrize("size", [3_000_000, 70_000_000])
def test_a_file_that_grows_while_read_is_undecided(tmp_path: Path, size: int) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"x" * size)

    def grow(_: int) -> None:
        with target.open("ab") as file:
            file.write(b"y")

    with pytest.raises(Undecided) as refused:
        manifest.of_folder(tmp_path, reading=Reading(progress=grow))
    assert refused.value.code == "changed-while-reading"


def test_diff_names_what_differs(tmp_path: Path) -> None:
    for name in ("same", "changed", "missing"):
        (tmp_path / name).write_bytes(name.encode())
    signed = manifest.of_folder(tmp_path)
    (tmp_path / "changed").write_bytes(b"other")
    (tmp_path / "missing").unlink()
    (tmp_path / "added\n").write_bytes(b"new")
    diff = compare(signed, manifest.of_folder(tmp_path))
    assert (diff.changed, diff.added, diff.missing) == (("changed",), ("added\n",), ("missing",))
    assert str(diff) == "changed: 'changed'; added: 'added\\n'; missing: 'missing'"
    assert not compare(signed, signed)


@pytest.mark.parametrize("kind", ["files", "folders", "files in folders"])
def test_a_model_of_more_files_and_folders_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("modelseal.model.tree.MAX_FILES", 20)
    if kind == "files in folders":
        for number in range(5):
            (tmp_path / f"{number}").mkdir()
            for inner in range(3):
                (tmp_path / f"{number}" / f"{inner}").touch()
    else:
        for number in range(20):
            path = tmp_path / f"{number}"
            path.touch() if kind == "files" or not number else path.mkdir()
    assert manifest.of_folder(tmp_path).manifest.file_names() is not None
    (tmp_path / "one-more").touch()
    assert code_of(tmp_path) == "too-many-files"


def test_the_limit_is_far_above_every_model_and_far_below_what_fills_the_memory() -> None:
    assert tree.MAX_FILES == 1_000_000
