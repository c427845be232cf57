# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import joblib
import pytest

import modelseal
from modelseal.errors import PolicyRefused, UsageError


@pytest.fixture(scope="module")
def own(make_site, tmp_path_factory):
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def load(own):
    def call(path, identity="alice@example.com", **more):
        options = {"trust": own.instance.trusted_root, **more}
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


@pytest.mark.parametrize("name", ["model.sig.2", "skill.oms.sig", ".kaggle/signing.json"])
def test_bundles_are_found_and_not_copied(own, load, name):
    folder = own.signed(f"bundle-{name[-7:]}")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / "model.sig").rename(folder / name)
    with load(folder) as copy:
        assert sorted(path.name for path in copy.iterdir()) == [
            "model-settings.json", "model.joblib",
        ]  # fmt: skip


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
    assert code(PolicyRefused, folder, bundle=f"{file}.sigstore.json") == "wrong-kind"
    assert code(PolicyRefused, file, bundle=folder / "model.sig") == "wrong-kind"
    assert code(UsageError, tmp_path / "missing") == "not-found"
    (tmp_path / "alias").symlink_to(folder)
    assert code(PolicyRefused, tmp_path / "alias") == "unsigned"
    (folder / "link").symlink_to("model.joblib")
    assert code(PolicyRefused, folder) == "symlink"
    (folder / "link").unlink()
    (folder / "model.sig").unlink()
    assert code(PolicyRefused, folder) == "unsigned"
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
        pytest.raises(PolicyRefused) as caught,
        load(renamed, bundle=f"{file}.sigstore.json"),
    ):
        pytest.fail("was loaded")
    assert caught.value.code == "name-not-utf8"


_IN_A_PROCESS_OF_ITS_OWN = """
import json, os, resource, sys
import modelseal
import modelseal.admission.load
{before}
try:
    with modelseal.load(sys.argv[1], **json.loads(sys.argv[2])):
        print("loaded")
except modelseal.ModelSealError as error:
    print(error.code)
"""


def in_a_process(own, path, before, **more):
    options = {
        "identity": "alice@example.com", "issuer": own.instance.issuer,
        "trust": str(own.instance.trusted_root), **more,
    }  # fmt: skip
    script = _IN_A_PROCESS_OF_ITS_OWN.format(before=before)
    command = [sys.executable, "-c", script, path, json.dumps(options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_no_folder_for_temporary_files_is_an_error_of_ours(own):
    """A file size of nothing makes every folder one that cannot be written, for root as well."""
    before = "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    assert in_a_process(own, own.signed("no-room"), before) == "no-temporary-folder"


def test_a_working_folder_that_is_gone_is_an_error_of_ours(own, tmp_path):
    gone = str(tmp_path / "gone")
    before = f"os.mkdir({gone!r}); os.chdir({gone!r}); os.rmdir({gone!r})"
    relative = ("model", before)
    assert in_a_process(own, *relative) == "io-error"
    assert in_a_process(own, *relative, store="store") == "io-error"


def test_a_full_folder_for_temporary_files_is_an_error_of_ours(own):
    before = (
        "import tempfile; tempfile.gettempdir(); resource.setrlimit(resource.RLIMIT_FSIZE, (9, 9))"
    )
    assert in_a_process(own, own.signed("full"), before) == "store-full"
