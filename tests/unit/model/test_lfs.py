# SPDX-License-Identifier: Apache-2.0
"""Git LFS pointers: told from other files, named when signing and in differences."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from in_process import invoke as run

from modelseal.formats import oms
from modelseal.model import lfs, manifest, scope
from modelseal.model.diff import compare

WEIGHTS = b"weights" * 1000
# As Git LFS writes it: `git lfs pointer --file=weights.bin`.
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:" + hashlib.sha256(WEIGHTS).hexdigest().encode() + b"\n"
    b"size 7000\n"
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (POINTER, True),
        (POINTER.removesuffix(b"\n"), True),
        (POINTER.replace(b"https", b"http").replace(b"git-lfs.github", b"hawser.github"), True),
        (POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"ab" * 32 + b"\noid"), True),
        (b"x" + POINTER, False),
        (POINTER + b"more", False),
        (POINTER.replace(b"sha256", b"sha512"), False),
        (POINTER.replace(b"size", b"length"), False),
        (POINTER.replace(b"7000", b"-1"), False),
        (b"", False),
    ],
)
def test_what_is_a_pointer(data, expected) -> None:
    assert lfs.is_pointer_text(data) is expected


def test_the_pointer_to_a_content_is_that_of_git_lfs() -> None:
    assert lfs.pointer_to(hashlib.sha256(WEIGHTS).digest(), len(WEIGHTS)) == POINTER


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a checkout with Git LFS and one without."""
    for folder, data in (("pulled", WEIGHTS), ("pointers", POINTER)):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "weights.bin").write_bytes(data)
        (tmp_path / folder / "config.json").write_text('{"text": "' + "x" * 200 + '"}')
    return tmp_path / "pulled", tmp_path / "pointers"


def contents(folder: Path, **how) -> manifest.Contents:
    return manifest.of_folder(folder, scope.to_sign(folder), how=oms.serialization(**how))


def test_pointers_are_found_in_a_folder(folders) -> None:
    pulled, pointers = map(contents, folders)
    assert (pulled.pointers, pointers.pointers) == (frozenset(), {"sub/weights.bin"})


@pytest.mark.parametrize("how", [{}, {"hash_type": "blake2b"}, {"shard_size": 1000}])
def test_content_that_is_a_pointer_now(folders, how) -> None:
    pulled, pointers = (contents(folder, **how) for folder in folders)
    found = compare(manifest.Contents(pulled.manifest), pointers)
    assert (found.pointers, found.signed_pointers) == (("sub/weights.bin",), ())


def test_a_pointer_that_was_signed_and_is_content_now(folders) -> None:
    pulled, pointers = map(contents, folders)
    found = compare(manifest.Contents(pointers.manifest), pulled)
    assert (found.pointers, found.signed_pointers) == ((), ("sub/weights.bin",))
    (folders[0] / "sub" / "weights.bin").write_bytes(b"other" * 1000)
    found = compare(manifest.Contents(pointers.manifest), contents(folders[0]))
    assert (found.changed, found.signed_pointers) == (("sub/weights.bin",), ())


def test_a_pointer_to_something_else(folders) -> None:
    signed = contents(folders[1])
    (folders[1] / "sub" / "weights.bin").write_bytes(POINTER.replace(b"7000", b"7001"))
    found = compare(signed, contents(folders[1]))
    assert (found.changed, found.pointers, found.signed_pointers) == (("sub/weights.bin",), (), ())


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.chdir(tmp_path)
    assert run("key", "generate", "k.key").exit_code == 0
    return "k.key", "k.pub"


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("p256", "pointers"),
        ("p256", "pointers/sub/weights.bin"),
        ("ed25519", "pointers/sub/weights.bin"),  # read whole
    ],
)
def test_signing_warns_of_pointers(folders, tmp_path, monkeypatch, kind, path) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("key", "generate", "k.key", "--type", kind).exit_code == 0
    done = run("sign", path, "--key", "k.key", "--quiet")
    assert done.exit_code == 0, done.output
    assert "warning:" in done.stderr
    assert "weights.bin': a Git LFS pointer was signed" in done.stderr
    assert "git lfs pull" in done.stderr
    said = json.loads(run("sign", path, "--key", "k.key", "--overwrite", "--format", "json").stdout)
    assert "git lfs pull" in said["signed"][0]["warnings"][0]
    assert run("verify", path, "--key", "k.pub").exit_code == 0


def test_signing_content_warns_of_nothing(folders, key) -> None:
    done = run("sign", "pulled", "--key", key[0])
    assert (done.exit_code, "warning" in done.stderr) == (0, False)


@pytest.mark.parametrize(
    ("signed", "found", "message"),
    [
        ("pulled", "pointers", "In place of its content, 'sub/weights.bin' has"),
        ("pointers", "pulled", "Of 'sub/weights.bin' the Git LFS pointer was"),
    ],
)
def test_a_verdict_names_them(folders, key, signed, found, message) -> None:
    assert run("sign", signed, "--key", key[0]).exit_code == 0
    Path(signed, "model.sig").rename(Path(found, "model.sig"))
    done = run("verify", found, "--key", key[1])
    assert (done.exit_code, message in done.stdout) == (1, True), done.output
    assert "`git lfs pull`" in done.stderr


def test_diff_names_them(folders, key) -> None:
    for old, new, which in (("pulled", "pointers", "NEW"), ("pointers", "pulled", "OLD")):
        done = run("diff", old, new)
        assert (done.exit_code, f"Git LFS pointer in {which}" in done.stdout) == (1, True)
