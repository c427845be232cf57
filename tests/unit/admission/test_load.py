# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import shutil

import joblib
import pytest

import modelseal
from modelseal.errors import FormatError, PolicyRefused, Unverified, UsageError


@pytest.fixture(scope="module")
def own(make_site, tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def load(own):
    def call(path, identity="alice@example.com", **more):
        options = {"trusted_root": own.instance.trusted_root, **more}
        return modelseal.load(path, identity=identity, issuer=own.instance.issuer, **options)

    return call


def test_folder(own, load):
    folder = own.signed("loaded")
    with load(folder) as copy:
        assert joblib.load(copy / "model.joblib").predict(own.digits.rows).tolist() == (
            own.digits.answers
        )
        (folder / "model.joblib").write_bytes(own.payload())
        assert (copy / "model.joblib").read_bytes() != own.payload()
    assert not copy.exists()
    assert not copy.parent.exists()


def test_one_file_keeps_its_name(own, load, tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    own.sign(file)
    with load(file) as copy:
        assert (copy.name, copy.read_bytes()) == ("model.bin", b"weights")
    renamed = tmp_path / "renamed.bin"
    file.rename(renamed)
    with load(renamed, bundle=f"{file}.sigstore.json") as copy:
        assert copy.name == "renamed.bin"


def test_with_a_store_the_copy_stays(own, load, tmp_path):
    folder = own.signed("stays")
    for _ in range(2):
        with load(folder, store=tmp_path / "store") as copy:
            assert copy.parent == tmp_path / "store"
    assert (copy / "model.joblib").exists()


def test_the_working_directory_as_model(own, load, monkeypatch):
    monkeypatch.chdir(own.signed("here"))
    with load(".") as copy:
        assert (copy / "model-settings.json").exists()


def test_error_inside_the_block_is_the_callers_and_the_copy_goes(own, load):
    folder = own.signed("raises")
    with pytest.raises(KeyError), load(folder) as copy:
        raise KeyError
    assert not copy.exists()


def test_refusals(own, load, tmp_path):
    folder = own.signed("refused")
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    own.sign(file)

    def code(kind, *args, **more):
        with pytest.raises(kind) as refused, load(*args, **more):
            raise AssertionError
        return refused.value.code

    assert code(PolicyRefused, folder, "mallory@example.com") == "identity-mismatch"
    assert code(Unverified, folder, bundle=f"{file}.sigstore.json") == "wrong-kind"
    assert code(Unverified, file, bundle=folder / "model.sig") == "wrong-kind"
    assert code(UsageError, tmp_path / "missing") == "not-found"
    (tmp_path / "alias").symlink_to(folder)
    assert code(Unverified, tmp_path / "alias") == "unsigned"
    (folder / "link").symlink_to("model.joblib")
    assert code(FormatError, folder) == "symlink"
    (folder / "link").unlink()
    (folder / "model.sig").unlink()
    assert code(Unverified, folder) == "unsigned"
    file.write_bytes(b"other weights")
    assert code(PolicyRefused, file) == "digest-mismatch"


def test_what_the_signer_ignored_is_not_loaded(own, load, tmp_path):
    """Whatever a manifest lists as ignored: a file that nobody signed has no place in a copy."""
    folder = own.signed("ignoring")
    (folder / ".gitignore").write_text("*.pyc")
    (folder / ".git").mkdir()
    with load(folder) as copy:
        assert not (copy / ".gitignore").exists()
        assert not (copy / ".git").exists()
    shutil.rmtree(folder / ".git")
    (folder / "sub").mkdir()
    (folder / "sub" / ".gitignore").write_text("only the top ones are a checkout's own")
    with pytest.raises(PolicyRefused), load(folder):
        raise AssertionError


def test_one_file_whose_name_is_not_utf8(own, load, tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    own.sign(file)
    renamed = tmp_path / os.fsdecode(b"model\xff.bin")
    file.rename(renamed)
    with (
        pytest.raises(FormatError) as caught,
        load(renamed, bundle=f"{file}.sigstore.json"),
    ):
        pytest.fail("was loaded")
    assert caught.value.code == "name-not-utf8"
