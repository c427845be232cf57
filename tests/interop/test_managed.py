# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates: the command lines of model_signing and cosign, in both directions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

pytestmark = pytest.mark.interop

MODELSEAL = Path(sys.executable).with_name("modelseal")


def modelseal(*arguments):
    command = [MODELSEAL, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def key(tmp_path):
    done = modelseal("key", "generate", tmp_path / "release.key")
    assert done.returncode == 0, done.stderr
    return tmp_path / "release.key", tmp_path / "release.pub"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    for name in ("a/b", "a-b", "a.b", "ab"):  # sorted in two ways, by string and by component
        (folder / name).write_bytes(name.encode() * 200)
    return folder


def test_it_verifies_the_folder_we_signed(model_signing, key, model):
    assert modelseal("sign", model, "--key", key[0]).returncode == 0
    arguments = ("--public_key", key[1], "--signature", model / "model.sig", model)
    done = model_signing("verify", "key", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    (model / "ab").write_text("changed")
    assert model_signing("verify", "key", *arguments).returncode != 0


def test_we_verify_the_file_it_signed(model_signing, key, model, tmp_path):
    bundle = tmp_path / "bundle.sig"
    file = model / "ab"
    done = model_signing("sign", "key", "--private_key", key[0], "--signature", bundle, file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert modelseal("verify", file, "--key", key[1], "--bundle", bundle).returncode == 0


def test_it_verifies_the_file_we_signed_in_its_folder(model_signing, key, model, tmp_path):
    """The name of a single file is its base name (spec 6.1.2), where it wants "."."""
    bundle, file = tmp_path / "bundle.sig", model / "ab"
    assert modelseal("sign", file, "--oms", "--key", key[0], "--bundle", bundle).returncode == 0
    common = ("verify", "key", "--public_key", key[1], "--signature", bundle)
    assert model_signing(*common, file).returncode != 0
    done = model_signing(*common, "--ignore_unsigned_files", model)
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text("changed")
    assert model_signing(*common, "--ignore_unsigned_files", model).returncode != 0


def test_cosign_verifies_the_file_we_signed(lab, key, model):
    file = model / "ab"
    assert modelseal("sign", file, "--key", key[0]).returncode == 0
    cosign = lab.clients["cosign"]
    bundle = f"{file}.sigstore.json"
    arguments = ("verify-blob", "--key", key[1], "--bundle", bundle, "--insecure-ignore-tlog")
    done = cosign.run(*arguments, file)
    assert done.returncode == 0, done.stderr
    assert cosign.run(*arguments, model / "a.b").returncode != 0


@pytest.mark.parametrize("by", ["key", "certificate"])
def test_it_verifies_what_is_logged_and_timestamped_too(by, model_signing, ca, model, instance):
    private, leaf, root = ca
    certificate = ("--certificate", leaf) if by == "certificate" else ()
    seen = ("--log", "--timestamp", "--trust-config", instance.trust_config)
    done = modelseal("sign", model, "--key", private, *certificate, *seen)
    assert done.returncode == 0, done.stderr
    public = leaf.with_name("leaf.pub")
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    whose = {"key": ("--public_key", public), "certificate": ("--certificate_chain", root)}[by]
    ours = {"key": ("--key", public), "certificate": ("--certificate-chain", root)}[by]
    theirs = ("verify", by, *whose, "--signature", model / "model.sig", model)
    done = model_signing(*theirs)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = ("verify", model, *ours, "--trusted-root", instance.trusted_root)
    assert modelseal(*asked).returncode == 0
    (model / "ab").write_text("changed")
    assert model_signing(*theirs).returncode != 0
    assert modelseal(*asked).returncode == 1


# -- certificates ----------------------------------------------------------------------------------


@pytest.fixture
def ca(tmp_path):
    """Give a CA of openssl: key, leaf and root in PEM files."""

    def run(*command):
        return subprocess.run(["openssl", *command], check=True, capture_output=True, cwd=tmp_path)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    run("req", "-x509", *curve, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root",
        "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    run("req", "-x509", *curve, "-CA", "root.pem", "-CAkey", "root.key", "-keyout", "leaf.key",
        "-out", "leaf.pem", "-subj", "/CN=leaf", "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "keyUsage=critical,digitalSignature",
        "-addext", "extendedKeyUsage=codeSigning")  # fmt: skip
    return tmp_path / "leaf.key", tmp_path / "leaf.pem", tmp_path / "root.pem"


def test_certificates_in_both_directions(model_signing, ca, model):
    key, leaf, root = ca
    bundle = model / "model.sig"
    done = modelseal("sign", model, "--key", key, "--certificate", leaf)
    assert done.returncode == 0, done.stderr
    theirs = ("--certificate_chain", root, "--signature", bundle, model)
    done = model_signing("verify", "certificate", *theirs)
    assert done.returncode == 0, done.stdout + done.stderr

    bundle.unlink()
    done = model_signing(
        "sign", "certificate", "--private_key", key, "--signing_certificate", leaf, *theirs
    )
    assert done.returncode == 0, done.stdout + done.stderr
    done = modelseal("verify", model, "--certificate-chain", root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert modelseal("verify", model, "--certificate-chain", leaf).returncode == 0
    (model / "ab").write_text("changed")
    assert modelseal("verify", model, "--certificate-chain", root).returncode == 1
