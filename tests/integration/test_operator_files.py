# SPDX-License-Identifier: Apache-2.0
"""Files that an operator names: links of a mounted ConfigMap or Secret, pipes, and stdin."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from in_process import invoke
from patience import PATIENCE
from private_ca import Kind, chain, leaf

if TYPE_CHECKING:
    from pathlib import Path

ALICE = "alice@example.com"


@dataclass(frozen=True)
class Place:
    """A folder with a signed model and every kind of file that can be named."""

    folder: Path
    issuer: str

    def file(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="module")
def place(instance, tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    model = folder / "model"
    model.mkdir()
    (model / "weights").write_text("weights")
    root, between, holder = reversed(chain(Kind("root"), Kind("between", length=0), leaf()))
    certified, certificate = holder.write(folder)
    for name, one in (("ca.pem", root), ("between.pem", between)):
        (folder / name).write_bytes(one.certificate.public_bytes(Encoding.PEM))
    (folder / "root.json").write_bytes(instance.trusted_root.read_bytes())
    (folder / "trust.json").write_bytes(instance.trust_config.read_bytes())
    (folder / "token").write_text(instance.token())
    (folder / "policy.toml").write_text(
        f'version = 1\ndefault = "deny"\n[trust]\nroot = "{folder}/root.json"\n'
        f'[signers.release]\nidentity = "{ALICE}"\nissuer = "{instance.issuer}"\n'
        '[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n'
    )
    (folder / "config.toml").write_text(f'trusted_root = "{folder}/root.json"\n')
    keyless = ["--trust-config", folder / "trust.json", "--identity-token", folder / "token"]
    by_certificate = ["--certificate", certificate, "--certificate-chain", folder / "between.pem"]
    for command in (
        ["key", "generate", folder / "release.key"],
        ["sign", model, *keyless, "--bundle", folder / "model.sig"],
        ["sign", model, "--key", folder / "release.key", "--bundle", folder / "key.sig"],
        ["sign", model, "--key", certified, *by_certificate, "--bundle", folder / "chain.sig"],
    ):
        done = invoke(*command)
        assert done.exit_code == 0, done
    listed = invoke("digest", model, "--format", "json")
    (folder / "files.json").write_text(listed.stdout)
    return Place(folder, instance.issuer)


# What is named -> the command; NAMED is that file, FOLDER/ what is beside it, OUT/ a new folder.
VERIFY = "verify FOLDER/model --bundle FOLDER/model.sig --identity ALICE --issuer ISSUER"
CASES = {
    "trusted root": ("root.json", f"{VERIFY} --trusted-root NAMED"),
    "trust config": ("trust.json", f"{VERIFY} --trust-config NAMED"),
    "bundle": ("model.sig", f"{VERIFY} --trusted-root FOLDER/root.json --bundle NAMED"),
    "configuration": ("config.toml", f"{VERIFY} --config NAMED"),
    "policy": (
        "policy.toml", "verify FOLDER/model --bundle FOLDER/model.sig --policy NAMED",
    ),
    "public key": (
        "release.pub", "verify FOLDER/model --bundle FOLDER/key.sig --key NAMED",
    ),
    "bundle by key": (
        "key.sig", "verify FOLDER/model --bundle NAMED --key FOLDER/release.pub",
    ),
    "CA": (
        "ca.pem", "verify FOLDER/model --bundle FOLDER/chain.sig --certificate-chain NAMED",
    ),
    "shown bundle": ("model.sig", "inspect NAMED"),
    "token": (
        "token", "sign FOLDER/model --identity-token NAMED --trust-config FOLDER/trust.json",
    ),
    "services": (
        "trust.json", "sign FOLDER/model --identity-token FOLDER/token --trust-config NAMED",
    ),
    "services for a key": (  # which are read for the log and for its key
        "trust.json",
        "sign FOLDER/model --key FOLDER/release.key --log --timestamp --trust-config NAMED",
    ),
    "private key": ("release.key", "sign FOLDER/model --key NAMED"),
    "certificate": ("leaf.pem", "sign FOLDER/model --key FOLDER/leaf.key --certificate NAMED"),
    "chain": (
        "between.pem",
        (
            "sign FOLDER/model --key FOLDER/leaf.key --certificate FOLDER/leaf.pem "
            "--certificate-chain NAMED"
        ),
    ),
    "manifest": ("files.json", "sign FOLDER/model --key FOLDER/release.key --manifest NAMED"),
    "list of digests": ("files.json", "diff NAMED FOLDER/model"),
}  # fmt: skip
LINKED = [name for name in CASES if name != "list of digests"]  # else a link could be a model


def words(name, named, place, tmp_path):
    command = CASES[name][1]
    given = {
        "NAMED": str(named), "ALICE": ALICE, "ISSUER": place.issuer, "FOLDER": str(place.folder)
    }  # fmt: skip
    if command.startswith("sign "):
        command += f" --bundle {tmp_path}/out.sig"
    for word, value in given.items():
        command = command.replace(word, value)
    return command.split(" ")


@pytest.mark.parametrize("name", LINKED)
def test_a_link_of_a_mounted_config_map(name, place, config_map, tmp_path):
    data = place.file(CASES[name][0]).read_bytes()
    named = config_map(CASES[name][0], data)
    done = invoke(*words(name, named, place, tmp_path))
    assert done.exit_code == 0, done


@pytest.mark.parametrize("name", CASES)
def test_a_pipe(name, place, fifo, tmp_path):
    data = place.file(CASES[name][0]).read_bytes()
    named = fifo(CASES[name][0], data)
    done = invoke(*words(name, named, place, tmp_path))
    assert done.exit_code == 0, done


@pytest.mark.parametrize("name", CASES)
def test_stdin(name, place, tmp_path):
    data = place.file(CASES[name][0]).read_bytes()
    command = [sys.executable, "-m", "modelseal", *words(name, "/dev/stdin", place, tmp_path)]
    done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done


@pytest.mark.parametrize("name", CASES)
def test_a_folder_is_named_as_what_it_is(name, place, tmp_path):
    named = tmp_path / "folder"
    named.mkdir()
    done = invoke(*words(name, named, place, tmp_path))
    assert done.exit_code in {1, 2, 3}
    assert "internal" not in done.stderr
    if name not in {"list of digests", "shown bundle"}:  # of which a folder can be one
        assert "[not-a-file]" in done.stderr, done
        assert str(named) in done.stderr


def test_the_bundle_that_a_model_brings_is_no_link(place, tmp_path):
    """Unlike one that was named: it could lead to any file of whoever verifies."""
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("weights")
    (model / "model.sig").symlink_to(place.file("key.sig"))
    verify = ["verify", model, "--key", place.file("release.pub")]
    refused = invoke(*verify)
    assert (refused.exit_code, "[symlink]" in refused.stdout) == (1, True), refused
    assert invoke(*verify, "--bundle", place.file("key.sig")).exit_code == 0


def test_the_users_of_an_instance(start_instance, config_map, fifo, tmp_path):
    from modelseal.instance.users import format_user  # noqa: PLC0415 - one test needs it

    line = format_user(ALICE, "secret").encode()
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for folder, users in (("one", config_map("users", line)), ("two", fifo("users", line))):
        with start_instance(tmp_path / folder, "--users", users) as started:
            assert started.url
