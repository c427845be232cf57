# SPDX-License-Identifier: Apache-2.0
"""A PKCS#11 token in software: SoftHSM, as Debian has it."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from patience import PATIENCE

MODELSEAL = Path(sys.executable).with_name("modelseal")
INSTALL = Path(__file__).parents[2] / "scripts" / "peers" / "install.py"
PIN, WRONG = "86421357", "75319246"


@dataclass(frozen=True)
class Token:
    folder: Path
    module: Path

    @property
    def env(self):
        return os.environ | {
            "SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"),
            "MODELSEAL_PKCS11_MODULE": str(self.module),
            "PIN": PIN,
            "WRONG": WRONG,
        }

    def util(self, *arguments):
        command = ["softhsm2-util", *arguments, "--pin", PIN]
        subprocess.run(command, env=self.env, check=True, capture_output=True, timeout=PATIENCE)

    def import_key(self, label, identifier, key):
        """Put `key` into the token and return where its public key is."""
        private, public = self.folder / f"{identifier}.pem", self.folder / f"{identifier}.pub"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        public.write_bytes(pem(key.public_key()))
        names = ("--token", "release", "--label", label, "--id", identifier)
        self.util("--import", str(private), *names)
        private.unlink()
        return public

    def run(self, *arguments, **env):
        done = subprocess.run(
            [MODELSEAL, *map(str, arguments)],
            env=self.env | env, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert PIN not in said
        assert WRONG not in said
        assert "Traceback" not in said
        return done

    def refused(self, *arguments, **env):
        """Return the exit code and the error's code."""
        done = self.run(*arguments, **env)
        return done.returncode, done.stderr.splitlines()[0].rpartition("[")[2].rstrip("]")


def pem(public):
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def make(folder: Path) -> Token:
    """Return a new token in `folder` with keys of every kind."""
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(
        f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    module = runpy.run_path(str(INSTALL))["softhsm"]()
    assert module is not None, "apt-get install softhsm2"
    made = Token(folder, module)
    for label in ("release", "other", "twin", "twin"):
        made.util("--init-token", "--free", "--label", label, "--so-pin", "11112222")
    made.import_key("p256", "0a01", ec.generate_private_key(ec.SECP256R1()))
    made.import_key("p384", "0a02", ec.generate_private_key(ec.SECP384R1()))
    made.import_key("p521", "0a03", ec.generate_private_key(ec.SECP521R1()))
    made.import_key("rsa", "0a04", rsa.generate_private_key(65537, 2048))
    made.import_key("same name", "0a05", ec.generate_private_key(ec.SECP256R1()))
    made.import_key("same name", "0a06", ec.generate_private_key(ec.SECP256R1()))
    return made
