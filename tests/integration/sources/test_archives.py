# SPDX-License-Identifier: Apache-2.0
"""`fetch --unpack`: archives that are signed, that have a signed folder, and that do harm."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
import s3_server
from fetching import left_beside, read, signed_model, tar, write
from in_process import invoke


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def running():
    with s3_server.serving() as started:
        yield started


@pytest.fixture
def s3(running, monkeypatch):
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    return running


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("tiny.tar.gz", tar),
        ("tiny.tar", lambda files: tar(files, "w")),
        ("tiny.tar.xz", lambda files: tar(files, "w:xz", "tiny/")),
        ("tiny.zip", zipped),
    ],
)
def test_what_is_in_it_is_signed(s3, model, out, name, packed):
    s3.put("a/", {name: packed(model.files)})
    done = model.fetch(f"s3://models/a/{name}", out, "--unpack")
    assert done.exit_code == 0, done.output
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]
    s3.put("a/", {name: packed({**model.files, "config.json": b"changed"})})
    done = model.fetch(f"s3://models/a/{name}", out.with_name("two"), "--unpack")
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == ["tiny"]


def test_the_archive_itself_is_signed(s3, model, out, tmp_path):
    write(tmp_path / "one", {"tiny.tar.gz": tar({"weights.bin": b"w", "sub/more": b"m"})})
    assert invoke("sign", tmp_path / "one" / "tiny.tar.gz", "--key", model.private).exit_code == 0
    files = read(tmp_path / "one")
    s3.put("b/", files)
    done = model.fetch("s3://models/b/tiny.tar.gz", out, "--unpack")
    assert done.exit_code == 0, done.output
    assert read(out) == {"weights.bin": b"w", "sub/more": b"m"}
    s3.put("b/", {"tiny.tar.gz": tar({"../../evil": b"x"})})  # never looked into
    done = model.fetch("s3://models/b/tiny.tar.gz", out.with_name("two"), "--unpack")
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == ["tiny"]


def link(kind, target):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("weights")
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return buffer.getvalue()


def zip_with_link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("weights")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "harm",
    [
        (tar({"../evil": b"x"}), "unsafe-name"),
        (tar({"/tmp/evil": b"x"}), "unsafe-name"),
        (zipped({"../evil": b"x"}), "unsafe-name"),
        (zipped({"a\\..\\..\\evil": b"x"}), "unsafe-name"),
        (link(tarfile.SYMTYPE, "/etc/passwd"), "special-file"),
        (link(tarfile.LNKTYPE, "other"), "special-file"),
        (link(tarfile.FIFOTYPE, ""), "special-file"),
        (zip_with_link(), "special-file"),
        (b"no archive" * 100, "not-an-archive"),
        (tar({"weights": b"w" * 1_000_000}, "w:gz")[:500], "not-an-archive"),
        (tar({"weights": bytes(1_000_000)}, "w:xz"), "archive-bomb"),
    ],
    ids=lambda harm: harm[1],
)
def test_archives_that_do_harm(s3, model, out, harm, monkeypatch):
    monkeypatch.setattr("modelseal.sources.archive._ANYWAY", 1000)
    data, code = harm
    s3.put("c/", {"tiny.tar": data})
    done = model.fetch("s3://models/c/tiny.tar", out, "--unpack")
    assert (done.exit_code, f"[{code}]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_a_folder_is_no_archive(s3, model, out):
    s3.put("d/tiny/", model.files)
    done = model.fetch("s3://models/d/tiny", out, "--unpack")
    assert (done.exit_code, "[not-an-archive]" in done.stderr) == (1, True), done.output
    done = model.fetch("s3://models/d/tiny", out, "--unpack", "--pin", out.with_name("lock"))
    assert (done.exit_code, "[bad-options]" in done.stderr) == (2, True), done.output
    assert left_beside(out) == []
