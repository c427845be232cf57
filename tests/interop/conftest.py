# SPDX-License-Identifier: Apache-2.0
"""Other Sigstore clients as peers: each signs and verifies as a process of its own.

`make interop` builds them first (scripts/peers/install.py). A missing peer fails its tests.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import pytest
from patience import PATIENCE

import modelseal
from modelseal.formats import intoto, oms
from modelseal.model import manifest, scope

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PEERS = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "peers" / "install.py")))
PEER_JS = ROOT / "scripts" / "peers" / "js" / "peer.cjs"

ALICE = "alice@example.com"
Kind = Literal["artifact", "statement"]


@dataclass(frozen=True)
class Models:
    """One file, signed as an artifact, and one folder, signed by an OMS statement."""

    file: Path
    folder: Path
    statement: Path  # what to sign for `folder`
    root: str  # the subject's digest, in hex

    def path(self, kind: Kind) -> Path:
        return self.file if kind == "artifact" else self.folder


@dataclass(frozen=True)
class Claim:
    """What a verifier is asked: is `models` signed in `bundle`, by whom?"""

    kind: Kind
    models: Models
    bundle: Path
    issuer: str
    trusted_root: Path
    identity: str = ALICE


def make_models(folder: Path, text: str = "weights") -> Models:
    model = folder / "model"
    # In code-point order "a-b" < "a.b" < "a/b" < "ab"; ordered by path components it is not so.
    for name in ("a/b", "a-b", "a.b", "ab", "deep/er/ünïcode"):
        (model / name).parent.mkdir(parents=True, exist_ok=True)
        (model / name).write_text(f"{text} {name}")
    file = folder / "model.bin"
    file.write_text(text)
    found = manifest.of_folder(model, scope.to_sign(model)).manifest
    statement = folder / "statement.json"
    statement.write_bytes(intoto.to_bytes(oms.to_statement(found, "model")))
    return Models(file, model, statement, found.root().hex())


def run(*command: object, **environment: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=PATIENCE, env=env, check=False,
    )  # fmt: skip


class Modelseal:
    """This project: signs on the command line, verifies in this process."""

    name = "modelseal"

    def __init__(self, instance) -> None:
        self.instance = instance

    def sign(self, kind: Kind, models: Models, bundle: Path):
        return run(
            Path(sys.executable).with_name("modelseal"), "sign", models.path(kind),
            "--trust-config", self.instance.trust_config, "--bundle", bundle,
            "--identity-token", self.instance.token(ALICE),
        )  # fmt: skip

    def verify(self, claim: Claim):
        verdict = modelseal.verify(
            claim.models.path(claim.kind), bundle=claim.bundle, trust=claim.trusted_root,
            identity=claim.identity, issuer=claim.issuer,
        )  # fmt: skip
        assert verdict or verdict.status == "refused"
        said = f"{verdict.code} {verdict.message}"
        return subprocess.CompletedProcess([], 0 if verdict else 1, said, "")


class SigstoreJs:
    name = "sigstore-js"

    def __init__(self, instance) -> None:
        self.instance = instance

    def run(self, *arguments):
        return run("node", PEER_JS, *arguments, NODE_PATH=PEERS.SIGSTORE_JS / "node_modules")

    def sign(self, kind: Kind, models: Models, bundle: Path):
        file = models.file if kind == "artifact" else models.statement
        token = self.instance.token(ALICE)
        return self.run("sign", kind, file, bundle, self.instance.signing_config, token)

    def verify(self, claim: Claim):
        # For a statement it says who signed it; comparing its subject is left to the caller.
        file = claim.models.file if claim.kind == "artifact" else "-"
        return self.run(
            "verify", file, claim.bundle, claim.trusted_root, claim.identity, claim.issuer
        )


class SigstoreGo:
    """The client that sigstore-go runs against the Sigstore conformance suite."""

    name = "sigstore-go"

    def __init__(self, instance) -> None:
        self.instance = instance

    def run(self, *arguments):
        return run(PEERS.SIGSTORE_GO, *arguments)

    def sign(self, kind: Kind, models: Models, bundle: Path):
        as_statement = () if kind == "artifact" else ("--in-toto",)
        return self.run(
            "sign-bundle", *as_statement,
            "--identity-token", self.instance.token(ALICE), "--bundle", bundle,
            "--signing-config", self.instance.signing_config,
            "--trusted-root", self.instance.trusted_root,
            models.file if kind == "artifact" else models.statement,
        )  # fmt: skip

    def verify(self, claim: Claim):
        models = claim.models
        return self.run(
            "verify-bundle", "--bundle", claim.bundle,
            "--certificate-identity", claim.identity, "--certificate-oidc-issuer", claim.issuer,
            "--trusted-root", claim.trusted_root,
            models.file if claim.kind == "artifact" else f"sha256:{models.root}",
        )  # fmt: skip


class Cosign:
    name = "cosign"

    def __init__(self, instance, home: Path) -> None:
        self.instance, self.home = instance, home

    def run(self, *arguments):
        return run(PEERS.COSIGN, *arguments, HOME=self.home, TUF_ROOT=self.home / "tuf")

    def token(self) -> Path:
        """Return a file: cosign takes a token itself only when it is signed with RS256."""
        file = self.home / "token"
        file.write_text(self.instance.token(ALICE))
        return file

    def sign(self, kind: Kind, models: Models, bundle: Path, *options):
        common = (
            "--yes", "--signing-config", self.instance.signing_config,
            "--trusted-root", self.instance.trusted_root,
            "--identity-token", self.token(), "--bundle", bundle, *options,
        )  # fmt: skip
        if kind == "artifact":
            return self.run("sign-blob", *common, models.file)
        return self.run("attest-blob", *common, "--statement", models.statement)

    def verify(self, claim: Claim):
        common = (
            "--bundle", claim.bundle, "--trusted-root", claim.trusted_root,
            "--certificate-identity", claim.identity, "--certificate-oidc-issuer", claim.issuer,
        )  # fmt: skip
        if claim.kind == "artifact":
            return self.run("verify-blob", *common, claim.models.file)
        return self.run(
            "verify-blob-attestation", *common, "--type", oms.PREDICATE_TYPE,
            "--digest", claim.models.root, "--digestAlg", "sha256",
        )  # fmt: skip


class Lab:
    """Every client by name, what they sign, and the bundles they made of it."""

    def __init__(self, instance, folder: Path) -> None:
        self.instance, self._folder = instance, folder
        for name in ("models", "other", "cosign"):
            (folder / name).mkdir()
        self.models = make_models(folder / "models")
        self.other_models = make_models(folder / "other", "other weights")
        cosign = Cosign(instance, folder / "cosign")
        clients = (Modelseal(instance), SigstoreJs(instance), SigstoreGo(instance), cosign)
        self.clients = {client.name: client for client in clients}

    def signed(self, signer: str, kind: Kind, *, other: bool = False) -> Path:
        """Return the bundle that `signer` made for the models (or the other ones); made once."""
        bundle = self._folder / f"{signer}-{kind}{'-other' if other else ''}.json"
        if not bundle.exists():
            models = self.other_models if other else self.models
            done = self.clients[signer].sign(kind, models, bundle)
            assert done.returncode == 0, done.stderr + done.stdout
        return bundle

    def verified(self, verifier: str, kind: Kind, bundle: Path, **changed):
        """Return the process that answered whether `bundle` signs the models, by Alice."""
        asked = {
            "models": self.models,
            "issuer": self.instance.issuer,
            "trusted_root": self.instance.trusted_root,
        }
        return self.clients[verifier].verify(Claim(kind=kind, bundle=bundle, **(asked | changed)))


@pytest.fixture(scope="session")
def lab(instance, tmp_path_factory) -> Lab:
    return Lab(instance, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session")
def model_signing() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give model_signing's command line, which lives in a virtual environment of its own."""
    return lambda *arguments: run(
        PEERS.MODEL_SIGNING / "bin" / "python", "-m", "model_signing", *arguments
    )


@pytest.fixture(scope="session")
def peer_python():
    """Give the Python that has model_signing, for what its command line cannot say."""
    return PEERS.MODEL_SIGNING / "bin" / "python"


@pytest.fixture(scope="session")
def file_claim() -> Callable[..., Claim]:
    """Give a function that returns the claim that `file` was signed in `bundle`."""

    def claim(file: Path, bundle: Path, root: Path, *, issuer: str, identity: str) -> Claim:
        return Claim("artifact", Models(file, file, file, ""), bundle, issuer, root, identity)

    return claim


@pytest.fixture(scope="session")
def peers() -> SimpleNamespace:
    """Give where the peers are that were built: the names of scripts/peers/install.py."""
    return PEERS
