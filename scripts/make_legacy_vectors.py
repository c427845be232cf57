# SPDX-License-Identifier: Apache-2.0
"""Sign tests/vectors/legacy/model in every way that this version has.

Once released, a bundle stays for ever: only what is missing is made. Keys are thrown away, and with
them the instance that vouches for the keyless ones; its trusted root is kept beside each.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

from private_ca import Kind, chain, leaf  # noqa: E402 - a helper of the tests

import modelseal  # noqa: E402 - after the path is set
from modelseal.formats import oms  # noqa: E402 - as above
from modelseal.signing.plan import SignOptions  # noqa: E402 - as above
from modelseal.signing.sign import sign_all  # noqa: E402 - as above
from modelseal.signing.signers.key import KeySigner, with_certificate  # noqa: E402 - as above
from modelseal.signing.signers.witness import of_instance  # noqa: E402 - as above
from modelseal.trust import keys, private_keys  # noqa: E402 - as above
from modelseal.trust.choice import Trust  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelseal.signing.signers.witness import Witness

    Make = Callable[..., None]  # in this folder, about that copy of the model; with a witness

FOLDER = ROOT / "tests" / "vectors" / "legacy"
VERSION = ".".join(modelseal.__version__.split(".")[:2])
ALICE = "alice@example.com"
CENTURY = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC))


def main() -> None:
    """Make what is not there yet."""
    for name, make in kinds().items():
        folder = FOLDER / VERSION / name
        if not folder.exists():
            made(folder, make)


def made(folder: Path, make: Make) -> None:
    """Have `make` fill the new `folder`, or leave none behind."""
    folder.mkdir(parents=True)
    try:
        with TemporaryDirectory() as copy:
            make(folder, Path(shutil.copytree(FOLDER / "model", Path(copy) / "model")))
    except BaseException:
        shutil.rmtree(folder)
        raise


def kinds() -> dict[str, Make]:
    """Return how to make each kind, by the name of its folder."""
    found: dict[str, Make] = {}
    for curve in private_keys.CURVES:
        found[f"{curve}-sha256-files"] = by_key(curve)
    for hash_type in oms.HASHES:
        for size, method in ((None, "files"), (8, "shards")):
            how = oms.serialization(hash_type, shard_size=size)
            found[f"p256-{hash_type}-{method}"] = by_key("p256", SignOptions(how))
    linked = oms.serialization(allow_symlinks=True)
    return found | {
        "p256-one-file": by_key("p256", SignOptions(files_as_models=True), file="a"),
        "p256-one-file-shards": by_key(
            "p256", SignOptions(oms.serialization(shard_size=8), files_as_models=True), file="a"
        ),
        "p256-artifact": by_key("p256", file="a"),
        "p384-artifact": by_key("p384", file="a"),
        "p521-artifact": by_key("p521", file="a"),
        "ed25519-artifact": by_key("ed25519", file="a"),
        "rsa-artifact": by_key("rsa", file="a"),
        "p256-logged-artifact": witnessed(by_key("p256", file="a")),
        "p384-logged-files": witnessed(by_key("p384")),
        "rsa-logged-artifact": witnessed(by_key("rsa", file="a")),
        "ed25519-timestamped-artifact": witnessed(by_key("ed25519", file="a"), logs=False),
        "p256-timestamped-files": witnessed(by_key("p256"), logs=False),
        "certificate-logged-files": witnessed(by_certificate()),
        "p256-links": by_key("p256", SignOptions(linked), links={"link": "a", "folder": "sub"}),
        "p256-ignored": by_key("p256", ignored=["sub"]),
        "p256-two-signatures": two_signatures,
        "certificate-files": by_certificate(),
        "certificate-artifact": by_certificate(file="a"),
        "keyless-artifact": keyless(file="a"),
        "keyless-one-file": keyless(SignOptions(files_as_models=True), file="a"),
        "keyless-files": keyless(),
        "keyless-shards": keyless(SignOptions(oms.serialization("blake3", shard_size=8))),
        "keyless-ignored": keyless(ignored=["sub"]),
    }


def by_key(kind: str, options: SignOptions | None = None, **about) -> Make:
    def make(folder: Path, model: Path, witness: Witness | None = None) -> None:
        key, public = new_key(kind)
        (folder / "key.pub").write_bytes(public)
        sign(folder, model, options, about, signer=KeySigner(key, witness=witness))

    return make


def witnessed(make: Make, *, logs: bool = True) -> Make:
    """Return how to make the same, timestamped, and logged unless `logs` is false."""

    def make_so(folder: Path, model: Path) -> None:
        with instance(folder) as (_, _, config):
            seen = of_instance(Trust.of(config), logs=logs, stamps=True)
            make(folder, model, seen)
        if not logs:  # whoever names a log wants an entry
            root = json.loads((folder / "trusted_root.json").read_text())
            (folder / "trusted_root.json").write_text(json.dumps(root | {"tlogs": []}))

    return make_so


def two_signatures(folder: Path, model: Path) -> None:
    options = SignOptions(add=True)
    for name in ("key.pub", "key-2.pub"):
        key, public = new_key("p256")
        (folder / name).write_bytes(public)
        sign_all([model], signer=KeySigner(key), options=options)
    shutil.copy(model / "model.sig", folder / "bundle.json")
    shutil.copy(model / "model.sig.2", folder / "bundle-2.json")
    describe(folder, {})


def by_certificate(**about) -> Make:
    def make(folder: Path, model: Path, witness: Witness | None = None) -> None:
        root, between = Kind("root", period=CENTURY), Kind("between", length=0, period=CENTURY)
        curve = ec.SECP256R1() if "file" in about else ec.SECP384R1()
        release = leaf(name="release", period=CENTURY, curve=curve)
        own, above, trusted = chain(root, between, release)
        pem = trusted.certificate.public_bytes(serialization.Encoding.PEM)
        (folder / "root.pem").write_bytes(pem)
        signer = with_certificate(own.key, (own.certificate,), (above.certificate,), witness)
        sign(folder, model, None, about, signer=signer)

    return make


def keyless(options: SignOptions | None = None, **about) -> Make:
    def make(folder: Path, model: Path) -> None:
        with instance(folder) as (issuer, token, config):
            who, trust = {"identity": ALICE, "issuer": issuer}, Trust.of(config)
            sign(folder, model, options, about | who, identity_token=token, trust=trust)

    return make


def sign(folder: Path, model: Path, options: SignOptions | None, about: dict, **signer) -> None:
    """Sign `model`, or the file of it that `about` names, and describe what was signed."""
    for name, target in about.get("links", {}).items():
        (model / name).symlink_to(target)
    options = options or SignOptions()
    if "ignored" in about:
        options = SignOptions(
            options.serialization, tuple(model / name for name in about["ignored"])
        )
    signed = model / about.get("file", "")
    sign_all([signed], bundle=folder / "bundle.json", options=options, **signer)
    describe(folder, about)


def describe(folder: Path, about: dict) -> None:
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")


def new_key(kind: str) -> tuple[private_keys.PrivateKey, bytes]:
    """Return a private key and the PEM of its public key."""
    if kind == "rsa":
        key: private_keys.PrivateKey = rsa.generate_private_key(65537, 2048)
        return key, keys.public_pem(key.public_key())
    with TemporaryDirectory() as private:
        public = private_keys.generate(Path(private) / "key", kind)
        return private_keys.load_private(Path(private) / "key"), public.read_bytes()


@contextmanager
def instance(folder: Path) -> Iterator[tuple[str, str, Path]]:
    """Run an instance for one sign-in; give its URL, a token and its trust config."""
    modelseal_, up = Path(sys.executable).with_name("modelseal"), ("instance", "up", "--data")
    with (
        TemporaryDirectory() as data,
        subprocess.Popen(
            [modelseal_, *up, data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process,
    ):

        def said(command: str, *options: object) -> str:
            full = [modelseal_, "instance", command, "--data", data, *options]
            return subprocess.check_output([str(part) for part in full], text=True).strip()

        try:
            url = process.stdout.readline().strip()
            config = Path(data) / "trust-config.json"
            said("trust-config", "--out", config)
            said("trusted-root", "--out", folder / "trusted_root.json")
            yield url, said("token", "--identity", ALICE), config
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
