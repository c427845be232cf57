# SPDX-License-Identifier: Apache-2.0
"""Backup, restore and rotation, as an operator does them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

MODELSEAL = str(Path(sys.executable).with_name("modelseal"))


def run(*arguments, env=None):
    return subprocess.run(
        [MODELSEAL, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
        check=False, env=os.environ | (env or {}),
    )  # fmt: skip


def signed(instance, path):
    path.write_bytes(os.urandom(32))
    done = run(
        "sign", path, "--identity-token", instance.token(), "--trust-config", instance.trust_config
    )
    assert done.returncode == 0, done.stderr
    return path


def test_what_old_keys_signed_stays_good_after_a_rotation(start_instance, sigstore, tmp_path):
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}
    with start_instance(tmp_path) as first:
        old = signed(first, tmp_path / "old")
        root = tmp_path / "root.json"
        run("instance", "root", "--data", first.data, "--out", root)
        assert run("trust", "add", first.url, root, env=env).returncode == 0
        running = run("instance", "rotate", "--data", first.data)
        assert "instance-locked" in running.stderr
    done = run("instance", "rotate", "--data", first.data, "--in", "0")
    assert done.returncode == 0, done.stderr
    who = ("--identity", "alice@example.com", "--issuer", first.url)
    with start_instance(tmp_path) as second:
        new = signed(second, tmp_path / "new")
        outdated = run("verify", new, *who, "--instance", second.url, env=env)
        assert outdated.returncode == 1
        # TUF follows, from the root that was handed out before
        followed = run("verify", new, *who, "--instance", second.url, "--refresh", env=env)
        assert followed.returncode == 0, followed.stderr
        for path in (old, new):
            verified = run("verify", path, *who, "--trusted-root", second.trusted_root)
            assert verified.returncode == 0, verified.stderr
            stock = sigstore(
                "--trust-config", second.trust_config, "verify", "identity", "--offline",
                "--bundle", f"{path}.sigstore.json", "--cert-identity", "alice@example.com",
                "--cert-oidc-issuer", second.url, path,
            )  # fmt: skip
            assert stock.returncode == 0, stock.stderr


@pytest.mark.parametrize(
    "arguments",
    [["oidc"], ["ca", "--in", "-1"], ["--in", "366"], ["--in", "x"]],
)
def test_what_cannot_be_rotated(tmp_path, arguments):
    refused = run("instance", "rotate", "--data", tmp_path, *arguments)
    assert refused.returncode == 2, refused


def test_a_backup_of_a_running_instance_takes_its_place(start_instance, tmp_path):
    lost, found = tmp_path / "lost", tmp_path / "found"
    lost.mkdir()
    found.mkdir()
    with start_instance(lost) as first:
        old = signed(first, tmp_path / "old")
        done = run("instance", "backup", "--data", first.data, "--out", tmp_path / "b.tar")
        assert "2 log entries" in done.stderr
    restored = run("instance", "restore", tmp_path / "b.tar", "--data", found / "data")
    assert restored.returncode == 0, restored.stderr
    with start_instance(found) as second:
        assert second.url == first.url
        assert second.trust_config.read_bytes() == first.trust_config.read_bytes()
        new = signed(second, tmp_path / "new")
        for path in (old, new):
            verified = run(
                "verify", path, "--identity", "alice@example.com", "--issuer", first.url,
                "--trusted-root", first.trusted_root,
            )  # fmt: skip
            assert verified.returncode == 0, verified.stderr
