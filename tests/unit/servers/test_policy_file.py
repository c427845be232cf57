# SPDX-License-Identifier: Apache-2.0
"""The policy of a server is read again when a file of it was changed, and only then."""

from __future__ import annotations

import hashlib
import os

import pytest
from in_process import invoke

from modelseal.errors import FormatError, UsageError
from modelseal.servers.policy_file import PolicyFile, ReloadingPolicy
from modelseal.trust import private_keys


def text(key="release.pub", more=""):
    return (
        f'version = 1\ndefault = "deny"\n[signers.release]\npublic_key = "{key}"\n'
        f'[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n{more}'
    )


REVOKED = '[[revoked]]\nreason = "stolen"\nsigner = "release"\n'


@pytest.fixture
def folder(tmp_path):
    for name in ("release", "other", "operator"):
        private_keys.generate(tmp_path / f"{name}.key", "p256")
    (tmp_path / "policy.toml").write_text(text())
    return tmp_path


def digest_of(document):
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"


def reloading(folder, name="policy.toml", suits=lambda _: None, **more):
    return ReloadingPolicy(PolicyFile(folder / name, **more), suits)


def replace(path, data):
    """Write a file as editors and tools do."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(data)
    new.rename(path)


def test_a_change_is_read_once(folder):
    policy = reloading(folder)
    assert policy.rules.policy.digest == digest_of(text())
    assert not policy.check()
    replace(folder / "policy.toml", text(more=REVOKED))
    assert policy.check()
    assert policy.rules.policy.revoked
    assert policy.rules.policy.digest == digest_of(text(more=REVOKED))
    assert not policy.check()


def test_a_file_that_the_policy_names_is_changed(folder):
    policy = reloading(folder)
    before = policy.rules.policy.signers
    (folder / "other.pub").rename(folder / "release.pub")
    assert policy.check()
    assert policy.rules.policy.signers != before


@pytest.mark.parametrize(
    "broken", ["", "version = 2", text(key="nowhere.pub"), "\xff", text(more="[x]")]
)
def test_a_broken_policy_keeps_the_old_one_until_it_is_mended(folder, broken):
    policy = reloading(folder)
    rules = policy.rules
    (folder / "policy.toml").write_bytes(broken.encode("latin-1"))
    assert not policy.check()
    error = policy.error
    assert error is not None
    assert not policy.check()
    assert (policy.error, policy.rules) == (error, rules)
    (folder / "policy.toml").write_text(text(more=REVOKED))
    assert policy.check()
    assert policy.error is None


def test_a_missing_key_that_is_brought(folder):
    policy = reloading(folder)
    (folder / "policy.toml").write_text(text(key="late.pub"))
    assert not policy.check()
    (folder / "other.pub").rename(folder / "late.pub")
    assert policy.check()


def test_a_policy_that_is_removed(folder):
    policy = reloading(folder)
    (folder / "policy.toml").unlink()
    assert not policy.check()
    assert policy.error.code == "not-found"


def test_a_policy_that_does_not_suit(folder):
    def suits(policy):
        if policy.revoked:
            raise UsageError("models-too-near", "Too near.")

    policy = reloading(folder, suits=suits)
    (folder / "policy.toml").write_text(text(more=REVOKED))
    assert not policy.check()
    assert policy.error.code == "models-too-near"


def test_a_config_map_is_replaced_by_its_link(folder):
    for number, content in enumerate((text(), text(more=REVOKED))):
        release = folder / f"..{number}"
        release.mkdir()
        (release / "policy.toml").write_text(content.replace("release.pub", "../release.pub"))
    mount = folder / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to("../..0")
    (mount / "policy.toml").symlink_to("..data/policy.toml")
    policy = reloading(mount)
    assert policy.folders() >= {mount, folder / "..0"}
    (mount / "..new").symlink_to("../..1")
    (mount / "..new").rename(mount / "..data")
    assert policy.check()
    assert policy.rules.policy.revoked
    assert policy.folders() >= {mount, folder / "..1"}


def test_a_signed_policy(folder):
    path = folder / "policy.toml"
    sign = ("sign", path, "--key", folder / "operator.key", "--overwrite")
    assert invoke(*sign).exit_code == 0
    policy = reloading(folder, signer=str(folder / "operator.pub"))
    path.write_text(text(more=REVOKED))
    assert not policy.check()
    assert policy.error.code == "policy-not-signed"
    assert invoke(*sign).exit_code == 0
    assert policy.check()
    assert policy.rules.policy.revoked


def test_a_policy_from_a_pipe_is_read_once(folder, fifo):
    path = fifo("stream", text(key=str(folder / "release.pub")).encode())
    policy = ReloadingPolicy(PolicyFile(path), lambda _: None)
    os.utime(path)
    assert not policy.check()
    assert policy.error is None


@pytest.mark.parametrize("name", ["policy.toml", "release.pub"])
def test_a_link_to_a_pipe_does_not_stop_the_server(folder, name):
    """Nobody writes into it: whoever opened it as a file would wait for ever."""
    policy = reloading(folder)
    os.mkfifo(folder / "pipe")
    (folder / name).unlink()
    (folder / name).symlink_to("pipe")
    assert not policy.check()
    assert isinstance(policy.error, FormatError)
    assert policy.error.code == "special-file"
