# SPDX-License-Identifier: Apache-2.0
"""Users without a home folder, or with one that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from as_user import UID, public_folder, run_as_user
from in_process import invoke

ALICE = "alice@example.com"


@pytest.fixture
def public():
    with public_folder() as folder:
        yield folder


@pytest.fixture
def model(public):
    path = public / "model.bin"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def owned(public):
    """Give a folder that the user of `run_as_user` may write."""
    path = public / "owned"
    path.mkdir()
    if os.geteuid() == 0:
        os.chown(path, UID, UID)
    return path


@pytest.fixture(scope="module")
def trusting(instance, tmp_path_factory):
    """Return a home folder whose owner trusts the instance, as the stock client arranges it."""
    home = tmp_path_factory.mktemp("trusting")
    root = home / "root.json"
    fetch = "import sys,urllib.request as u;u.urlretrieve(sys.argv[1],sys.argv[2])"
    subprocess.run([sys.executable, "-c", fetch, f"{instance.url}/root.json", root], check=True)
    subprocess.run(
        [sys.executable, "-m", "sigstore", "--instance", instance.url, "trust-instance", root],
        check=True, env=os.environ | of_home(home), capture_output=True,
    )  # fmt: skip
    return home


@pytest.fixture
def read_only(trusting, public):
    """Give a copy of that home folder, which nobody can write."""
    home = public / "home"
    shutil.copytree(trusting, home, symlinks=True)
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield home
    for folder in folders:
        folder.chmod(0o755)


def of_home(home):
    return {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
    }


def without_home(*commands, rehearsed=None):
    return run_as_user(commands, {}, rehearsed=rehearsed or commands)


def key_and_bundle(model, folder):
    """Make a key that everybody may read, and sign with it; return where both are."""
    key, bundle = folder / "release.key", folder / "model.sigstore.json"
    assert invoke("key", "generate", key).exit_code == 0
    key.chmod(0o644)
    assert invoke("sign", model, "--key", key, "--bundle", bundle).exit_code == 0
    return key, bundle


def test_commands_that_need_no_home(model, owned, public):
    key, bundle = key_and_bundle(model, public)
    commands = [
        ["verify", model, "--key", key.with_suffix(".pub"), "--bundle", bundle],
        ["inspect", bundle],
        ["digest", model],
        ["diff", model, model],
    ]
    making = [
        ["key", "generate", owned / "own.key"],
        ["sign", model, "--key", owned / "own.key", "--bundle", owned / "own.json"],
    ]
    rehearsed = [["sign", model, "--key", key, "--bundle", public / "rehearsed.json"]]
    for done in without_home(*commands, *making, rehearsed=[*commands, *rehearsed]):
        assert done.exit_code == 0, done.stderr


def test_the_public_instance_is_known_without_a_home(model, public):
    """The root in this release is believed; that a key signed is decided."""
    _, bundle = key_and_bundle(model, public)
    verify = ["verify", model, "--bundle", bundle, "--identity", ALICE, "--issuer", "https://x.y"]
    unreadable = {"HOME": "/root"} if os.geteuid() == 0 else {}
    for env in ({}, unreadable):
        (done,) = run_as_user([verify], env, rehearsed=[verify])
        assert done.exit_code == 1
        assert "the public Sigstore instance, as in this release" in done.stderr


def test_an_instance_without_a_home(instance, model, owned):
    sign = ["sign", model, "--identity-token", instance.token(), "--bundle", owned / "a.json"]
    verify = ["verify", model, "--identity", ALICE, "--issuer", "https://x.y"]
    commands = [[*command, "--instance", instance.url] for command in (sign, verify)]
    for done in without_home(*commands, ["instance", "trust-config"]):
        assert done.exit_code == 3
        assert "[no-home]" in done.stderr
        assert "XDG_DATA_HOME" in done.stderr


def test_a_read_only_home_that_trusts_the_instance(instance, model, owned, read_only, trusting):
    bundle = owned / "bundle.json"
    invoke("sign", model, "--trust-config", instance.trust_config, "--identity-token",
           instance.token(), "--bundle", bundle)  # fmt: skip
    here = ["--instance", instance.url]
    verify = ["verify", model, *here, "--bundle", bundle]
    verify += ["--identity", ALICE, "--issuer", instance.issuer]
    sign = ["sign", model, *here, "--identity-token", instance.token(), "--overwrite", "--bundle"]
    rehearsed = [[*sign, owned / "rehearsed.json"], [*verify, "--refresh"]]
    options = {"rehearsed": rehearsed, "rehearsal_env": of_home(trusting)}

    commands = [verify, [*sign, owned / "new.json"], [*verify, "--refresh"]]
    offline, *refused = run_as_user(commands, of_home(read_only), **options)
    assert offline.exit_code == 0, offline.stderr
    for done in refused:
        assert done.exit_code == 3
        assert "[home-unusable]" in done.stderr
        assert str(read_only / ".local/share/sigstore-python") in done.stderr
        assert "XDG_DATA_HOME" in done.stderr

    # As the hint says: a copy that can be written.
    copy = owned / "data"
    shutil.copytree(trusting / ".local/share", copy, symlinks=True)
    if os.geteuid() == 0:
        for path in (copy, *copy.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
    moved = of_home(read_only) | {"XDG_DATA_HOME": str(copy), "XDG_CACHE_HOME": str(owned)}
    for done in run_as_user(commands[1:], moved, **options):
        assert done.exit_code == 0, done.stderr


def test_a_read_only_cache_is_named_with_its_variable(model, owned, public, read_only):
    key, _ = key_and_bundle(model, public)
    sign = ["sign", model, "--key", key, "--update", "--bundle"]
    (done,) = run_as_user(
        [[*sign, owned / "own.json"]],
        of_home(read_only),
        rehearsed=[[*sign, public / "rehearsed.json"]],
    )
    assert done.exit_code == 3
    assert "[home-unusable]" in done.stderr
    assert f"{read_only}/.cache/modelseal" in done.stderr
    assert "XDG_CACHE_HOME" in done.stderr
    assert not (owned / "own.json").exists()


def test_a_read_only_home_that_does_not_trust_the_instance(instance, model, read_only):
    command = ["verify", model, "--refresh", "--identity", ALICE, "--issuer", instance.issuer]
    command += ["--instance", "https://other.example"]
    (done,) = run_as_user([command], of_home(read_only), rehearsed=[command])
    assert "[instance-not-trusted]" in done.stderr
