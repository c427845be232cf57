# SPDX-License-Identifier: Apache-2.0
"""What cannot be written or signed is found out before anything is public.

The logs of the instance are counted: a certificate is in its CT log, a signature in the other.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from as_user import UID, public_folder, run_as_user
from in_process import invoke
from patience import PATIENCE

MODELSEAL = [sys.executable, "-m", "modelseal"]


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("weights")
    return folder


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.bin"
    path.write_text("weights")
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for kind in ("p256", "rsa2048"):
        assert invoke("key", "generate", folder / kind, "--type", kind).exit_code == 0
    return folder


@pytest.fixture
def public(instance):
    """Give a function that returns how much is in the logs of the instance."""

    def count() -> int:
        database = f"file:{instance.data / 'state' / 'log.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM leaf").fetchone()[0]

    return count


@pytest.fixture(params=["identity", "key"])
def how(request, instance, keys):
    """Return the options of both ways to sign that leave something in a log."""
    trust = ["--trust-config", instance.trust_config]
    if request.param == "identity":
        return [*trust, "--identity-token", instance.token()]
    return [*trust, "--key", keys / "p256", "--log", "--timestamp"]


def code_of(done) -> str:
    return done.stderr.splitlines()[0].rpartition("[")[2].rstrip("]")


def tree(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_signing_is_public(public, how, model):
    """What the other tests rely on."""
    before = public()
    assert invoke("sign", model, *how).exit_code == 0
    assert public() > before


def link_to(target):
    return lambda model: (model / "model.sig").symlink_to(target)


PLACES = {
    "exists": (lambda model: (model / "model.sig").touch(), [], "already-exists"),
    "missing folder": (lambda _: None, ["--bundle", "MODEL/none/a.sig"], "cannot-write"),
    "folder": (lambda _: None, ["--bundle", "MODEL"], "not-a-file"),
    "folder, overwritten": (lambda _: None, ["--bundle", "MODEL", "--overwrite"], "not-a-file"),
    "below a file": (lambda _: None, ["--bundle", "MODEL/weights/a.sig"], "cannot-write"),
    "folder of the name": (lambda model: (model / "model.sig").mkdir(), [], "special-file"),
    "pipe in the model": (lambda model: os.mkfifo(model / "model.sig"), [], "special-file"),
    "link": (link_to("../victim"), [], "symlink"),
    "link, overwritten": (link_to("../victim"), ["--overwrite"], "symlink"),
    "link, by its name": (
        link_to("../victim"), ["--bundle", "MODEL/model.sig", "--overwrite"], "symlink",
    ),
    "link to nothing": (link_to("../new"), [], "symlink"),
    "linked folder": (
        lambda model: (model / "out").symlink_to(".."),
        ["--bundle", "MODEL/out/new", "--overwrite"], "symlink",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_cannot_be_written(name, public, how, model):
    prepare, options, code = PLACES[name]
    (model.parent / "victim").write_text("mine")
    prepare(model)
    before, files = public(), tree(model.parent)
    options = [option.replace("MODEL", str(model)) for option in options]
    done = invoke("sign", model, *how, *options)
    assert code_of(done) == code, done
    assert (public(), tree(model.parent)) == (before, files)


def test_a_folder_that_cannot_be_written(public, how, instance, keys):
    before = public()
    with public_folder() as folder:
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_text("weights")
        (folder / "model").chmod(0o555)
        readable = [folder / "trust.json", folder / "key"]
        readable[0].write_bytes(instance.trust_config.read_bytes())
        readable[1].write_bytes((keys / "p256").read_bytes())
        readable[1].chmod(0o644)
        renamed = {instance.trust_config: readable[0], keys / "p256": readable[1]}
        options = [renamed.get(option, option) for option in how]
        signing = ["sign", folder / "model", *options]
        elsewhere = [*signing, "--bundle", folder / "missing" / "bundle.json"]
        files = tree(folder)
        (done,) = run_as_user([signing], {}, rehearsed=[elsewhere])
        assert code_of(done) == "cannot-write", done
        assert (public(), tree(folder)) == (before, files)


def test_a_file_of_somebody_else_in_a_shared_folder(public, how, instance, keys, file):
    """As in /tmp: whoever may write there may not replace what others put there."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of somebody else")
    before = public()
    with public_folder() as folder:
        folder.chmod(0o1777)
        theirs = folder / "bundle.json"
        theirs.write_text("theirs")
        theirs.chmod(0o666)
        for path in (file, instance.trust_config, keys / "p256"):
            (folder / path.name).write_bytes(path.read_bytes())
            os.chown(folder / path.name, UID, UID)
        options = [folder / one.name if hasattr(one, "name") else one for one in how]
        signing = ["sign", folder / file.name, *options, "--overwrite", "--bundle"]
        (done,) = run_as_user(
            [[*signing, theirs]], {}, rehearsed=[[*signing, folder / "missing" / "bundle.json"]]
        )
        assert (code_of(done), theirs.read_text()) == ("cannot-write", "theirs")
    assert public() == before


def test_a_full_disk(public, how, model):
    limited = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "sys.argv[0] = 'modelseal'\n"
        "runpy.run_module('modelseal', run_name='__main__')"
    )
    before, files = public(), tree(model)
    done = subprocess.run(
        [sys.executable, "-c", limited, "sign", model, *how],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert code_of(done) == "disk-full", done
    assert (public(), tree(model)) == (before, files)


def test_nobody_is_asked_for_an_identity_in_vain(instance, public, model, monkeypatch):
    """Neither by a browser, which cannot be opened here, nor by the token, which is no token."""
    monkeypatch.setenv("BROWSER", "/bin/false")
    options = ["--trust-config", instance.trust_config, "--bundle", model / "none" / "a.sig"]
    before = public()
    assert code_of(invoke("sign", model, *options)) == "cannot-write"
    assert code_of(invoke("sign", model, *options, "--identity-token", "a.b.c")) == "cannot-write"
    assert public() == before


def test_of_several_models_all_are_checked_before_the_first_is_signed(public, how, model, file):
    other = model.parent / "other"
    other.mkdir()
    (other / "weights").write_text("weights")
    (other / "model.sig").touch()
    before = public()
    done = invoke("sign", file, model, other, *how)
    assert (code_of(done), f"'{other / 'model.sig'}'" in done.stderr) == ("already-exists", True)
    assert public() == before
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize("options", [[], ["--overwrite"], ["--add"]])
def test_a_model_that_is_named_twice(public, how, model, options):
    (model.parent / "way").symlink_to(model.parent)
    before = public()
    done = invoke("sign", model, model.parent / "way" / "model", *how, *options)
    assert (code_of(done), public()) == ("named-twice", before)


def test_older_files_that_are_there(public, instance, file):
    file.with_name("model.bin.crt").touch()
    options = ["--trust-config", instance.trust_config, "--identity-token", instance.token()]
    before, files = public(), tree(file.parent)
    done = invoke("sign", file, *options, "--legacy-files")
    assert (code_of(done), public(), tree(file.parent)) == ("already-exists", before, files)


def test_older_files_without_a_certificate(public, instance, keys, file):
    options = ["--trust-config", instance.trust_config, "--key", keys / "p256", "--log"]
    before, files = public(), tree(file.parent)
    done = invoke("sign", file, *options, "--legacy-files")
    assert (code_of(done), public(), tree(file.parent)) == ("bad-options", before, files)


def test_a_key_that_signs_only_the_first_of_the_models(public, instance, keys, model, file):
    options = ["--trust-config", instance.trust_config, "--key", keys / "rsa2048", "--log"]
    before, files = public(), tree(file.parent)
    done = invoke("sign", file, model, *options)
    assert (code_of(done), public(), tree(file.parent)) == ("unsupported-key", before, files)


def test_an_interrupted_sign_in_leaves_nothing(instance, public, model, tmp_path):
    """Ctrl-C while the browser is open."""
    browser = tmp_path / "browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o700)
    unset = ("CI", "GITHUB_ACTIONS", "SIGSTORE_ID_TOKEN", "MODELSEAL_IDENTITY_TOKEN")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    before, files = public(), tree(model)
    with subprocess.Popen(
        [*MODELSEAL, "sign", model, "--trust-config", instance.trust_config],
        stderr=subprocess.PIPE, text=True, env=env | {"BROWSER": str(browser)},
    ) as process:  # fmt: skip
        for line in process.stderr:
            if "browser" in line:
                process.send_signal(signal.SIGINT)
                break
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (public(), tree(model)) == (before, files)


# -- where the operator's bundle goes --------------------------------------------------------------


def test_the_bundle_goes_where_a_link_leads(how, model, tmp_path):
    (tmp_path / "signatures").mkdir()
    link = tmp_path / "latest.sig"
    link.symlink_to("signatures/today.sig")
    for options in ([], ["--overwrite"]):
        assert invoke("sign", model, *how, "--bundle", link, *options).exit_code == 0
    assert link.is_symlink()
    assert not (tmp_path / "signatures" / "today.sig").is_symlink()
    assert b"dsseEnvelope" in (tmp_path / "signatures" / "today.sig").read_bytes()


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_the_bundle_goes_to_stdout_alone(how, model, keys, options, tmp_path):
    done = subprocess.run(
        [*MODELSEAL, "sign", model, *how, "--bundle", "/dev/stdout", *options],
        capture_output=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.stderr.startswith(b"SIGNED ")
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(done.stdout)
    assert invoke("inspect", bundle).exit_code == 0
    assert [path.name for path in model.iterdir()] == ["weights"]


def test_stdout_has_no_place_for_two_answers(public, how, model):
    before = public()
    done = invoke("sign", model, *how, "--bundle", "/dev/stdout", "--format", "json")
    assert (done.exit_code, '"bad-options"' in done.stdout, public()) == (2, True, before)


def test_a_document_goes_to_stdout(instance, tmp_path):
    command = [*MODELSEAL, "instance", "trust-config", "--data", instance.data, "--out"]
    printed = subprocess.check_output([*command, "/dev/stdout"], timeout=PATIENCE)
    assert printed == instance.trust_config.read_bytes()
    link = tmp_path / "trust.json"
    link.symlink_to("config.json")
    subprocess.run([*command, link], check=True, timeout=PATIENCE)
    assert link.is_symlink()
    assert (tmp_path / "config.json").read_bytes() == printed
