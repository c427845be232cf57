# SPDX-License-Identifier: Apache-2.0
"""Which names of a folder belong to a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelseal.errors import UsageError
from modelseal.formats import oms
from modelseal.model import manifest, scope
from modelseal.model.diff import ManifestDiff, compare
from modelseal.model.scope import Scope


def signed(*names: str, ignored: tuple[str, ...] = (), **how) -> oms.Manifest:
    resources = [oms.Resource(name, name.encode().ljust(32, b"\0")) for name in names]
    return oms.manifest(resources, ignored, oms.serialization(**how))


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def differs(folder: Path, names: tuple[str, ...], **options) -> ManifestDiff:
    """Return what differs in `folder` if only `names` were signed."""
    found = manifest.of_folder(folder, Scope(frozenset(), signed=tuple(sorted(names)))).manifest
    listed = oms.Manifest(tuple(r for r in found.resources if r.name in names))
    contents = manifest.of_folder(folder, scope.of_signed(listed, **options))
    return compare(manifest.Contents(listed), contents)


def test_a_checkouts_own_files_and_bundles_are_skipped() -> None:
    found = scope.of_signed(signed("a"), bundle_names=("a.oms.sig",))
    assert found.skip == {".git", ".github", ".gitattributes", ".gitignore", "a.oms.sig"}


@pytest.mark.parametrize(
    "name", [".gitattributes", ".git/x", ".github/workflows/x", "model.sig", "model.sig.2"]
)
def test_nothing_that_was_signed_is_skipped(name: str) -> None:
    found = scope.of_signed(signed("a", name), bundle_names=("model.sig", "model.sig.2"))
    assert name.partition("/")[0] not in found.skip
    assert name not in found.skip


def test_what_was_both_signed_and_left_out_is_missing(tmp_path: Path) -> None:
    """The reference refuses it too; no tool that is known writes such a manifest."""
    write(tmp_path, "a", "b")
    contents = manifest.of_folder(tmp_path, scope.of_signed(signed("a", "b", ignored=("b",))))
    assert [r.name for r in contents.manifest.resources] == ["a"]


def test_names_that_only_begin_alike_are_not_in_a_folder() -> None:
    assert ".git" in scope.of_signed(signed(".git-x", ".github/a", ".gita/b")).skip


def test_what_the_signer_left_out_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, "a", "cache/x/y", "b")
    found = scope.of_signed(signed("a", ignored=("cache",)))
    assert [r.name for r in manifest.of_folder(tmp_path, found).manifest.resources] == ["a", "b"]


def test_every_other_file_that_nobody_signed_is_a_difference(tmp_path: Path) -> None:
    write(tmp_path, "a", "sub/model.sig", "sub/.git/x", "model.sig.10", ".DS_Store", "model.sig")
    found = differs(tmp_path, ("a",), bundle_names=scope.bundles_in(tmp_path))
    assert found.added == (".DS_Store", "model.sig.10", "sub/.git/x", "sub/model.sig")
    assert found.only_added


def test_a_file_that_nobody_signed_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / "huge").touch()
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(2**43)
    found = differs(tmp_path, ("a",))
    assert (found.added, found.sizes[0].new) == (("huge",), 2**43)


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        (".DS_Store", {".DS_Store"}),
        ("*.DS_Store", {".DS_Store", "sub/.DS_Store"}),
        (".cache/", {".cache"}),
        (".cache/*", {".cache/hub/x", ".cache/y"}),
        ("*.cache/", {".cache", "sub/.cache"}),
        (".cache", set()),
        ("*/", {".cache", "sub"}),
        ("*", {".DS_Store", ".cache/hub/x", ".cache/y", "sub/.DS_Store", "sub/.cache/z"}),
        ("[.]DS_?tore", {".DS_Store"}),
        ("", set()),
        ("/", set()),
    ],
)
def test_patterns_of_what_may_be_there_unsigned(tmp_path: Path, pattern: str, covered) -> None:
    write(tmp_path, "a", ".DS_Store", ".cache/hub/x", ".cache/y", "sub/.DS_Store", "sub/.cache/z")
    found = differs(tmp_path, ("a",), ignore_unsigned=(pattern,))
    assert set(found.ignored_unsigned) == covered
    everything = {".DS_Store", ".cache/hub/x", ".cache/y", "sub/.DS_Store", "sub/.cache/z"}
    inside = {name for name in everything for c in covered if name == c or name.startswith(c + "/")}
    assert set(found.added) == everything - inside


def test_what_was_signed_is_compared_whatever_may_be_unsigned(tmp_path: Path) -> None:
    write(tmp_path, "a", "sub/b", "sub/c")
    found = scope.of_signed(signed("a", "sub/b"), ignore_unsigned=("*", "*/"))
    contents = manifest.of_folder(tmp_path, found)
    assert [r.name for r in contents.manifest.resources] == ["a", "sub/b"]
    assert contents.ignored_unsigned == ("sub/c",)
    assert compare(manifest.Contents(signed("a", "sub/b")), contents).changed == ("a", "sub/b")


def test_to_sign_leaves_out_bundles_that_are_there_and_the_one_to_come(tmp_path: Path) -> None:
    write(tmp_path, "a", "model.sig.3", "sub/x")
    found = scope.to_sign(tmp_path, [tmp_path / "sub"], bundle=tmp_path / "sub2" / "my.sig")
    assert found.skip == scope.DEFAULT_IGNORED | {"model.sig", "model.sig.3", "sub", "sub2/my.sig"}
    assert found.signed is None


def test_names_of_paths_inside_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "model"
    write(model, "a", "sub/b")
    (model / "link").symlink_to("/etc")
    (tmp_path / "other").symlink_to(model)
    paths = [model / "link", tmp_path / "other" / "a", model / "sub" / ".." / "a", model, tmp_path]
    assert scope.names_in(model, paths) == {"link", "a"}
    monkeypatch.chdir(model / "sub")
    assert scope.names_in(model, [model / "sub" / "..", model.joinpath("sub/b")]) == {"sub/b"}


@pytest.mark.parametrize(
    ("path", "why", "hint"),
    [
        ("elsewhere", "is not inside the model", "inside it"),
        (".", "is not inside the model", "inside it"),
        ("", "is not inside the model", "inside it"),
        ("..", "is not inside the model", "inside it"),
        ("/etc/passwd", "is not inside the model", "inside it"),
        ("sub/b", "is not inside the model", "give 'model/sub/b'"),
        ("other/x", "is not inside the model", "inside it"),
        ("model/link/passwd", "is not inside the model", "inside it"),
        ("model", "is the model itself", "inside it"),
        ("model/sub/..", "is the model itself", "inside it"),
        ("model/*", "is a pattern", "Name each path as it is"),
        ("model/su?", "is a pattern", "Name each path as it is"),
        ("*.tmp", "is a pattern", "Name each path as it is"),
        ("model/[x]", "is a pattern", "Name each path as it is"),
    ],
)
def test_a_path_that_leaves_nothing_out_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str, hint: str
) -> None:
    write(tmp_path, "model/a", "model/sub/b", "model/[x]", "other/x", "elsewhere")
    (tmp_path / "model" / "link").symlink_to("/etc")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        scope.check_ignored([Path("model")], [Path("model/a"), Path(path)])
    assert refused.value.code == "bad-ignored-path"
    assert why in refused.value.message
    assert hint in refused.value.hint


def test_paths_that_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several models, each path is in one."""
    write(tmp_path, "[1]/model/a", "[1]/model/sub/b", "other/x")
    (tmp_path / "[1]" / "model" / "link").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path / "[1]" / "model")
    models = [tmp_path / "[1]" / "model", tmp_path / "other"]
    paths = ["a", "sub", "../../other/x", "link", str(tmp_path / "[1]" / "model" / "sub" / "b")]
    scope.check_ignored(models, [Path(path) for path in paths])
