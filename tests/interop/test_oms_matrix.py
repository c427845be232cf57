# SPDX-License-Identifier: Apache-2.0
"""model_signing and modelseal, in both directions: every method, serialization, hash and shape.

model_signing is used by its API, since its command line has neither shards nor a choice of hashes;
the command line is in test_model_signing.py and test_managed.py. Where it does not verify what is
signed as the specification says, its refusal is part of the table: docs/interop.md says why.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from base64 import b64decode
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest
from patience import PATIENCE
from private_ca import Kind, chain, leaf
from verifying import check_by

import modelseal
from modelseal.formats import oms
from modelseal.signing.plan import SignOptions
from modelseal.signing.sign import sign_all
from modelseal.signing.signers.key import KeySigner, with_certificate
from modelseal.trust import keys, private_keys
from modelseal.trust.choice import Trust
from modelseal.verification.believed import TrustedAuthority, TrustedKey

pytestmark = pytest.mark.interop

PEER = Path(__file__).parents[2] / "scripts" / "peers" / "oms.py"
ALICE = "alice@example.com"
METHODS = ("key-p256", "key-p384", "key-p521", "certificate", "sigstore")
SHAPES = ("folder", "file")
HASHES = {"sha256": "sha256", "blake2b": "blake2", "blake3": "blake3"}  # ours and its name
SIZE = 200


class Case(NamedTuple):
    method: str
    shape: str
    hash_type: str
    shards: bool

    def __str__(self) -> str:
        return "-".join((*self[:3], "shards" if self.shards else "files"))

    @property
    def size(self) -> int | None:
        return SIZE if self.shards else None


CASES = [Case(*one) for one in itertools.product(METHODS, SHAPES, oms.HASHES, (False, True))]


class Shop:
    """Models, whoever signs them, and model_signing in a process of its own."""

    def __init__(self, python: Path, instance, folder: Path) -> None:
        self._python, self._instance, self.folder = python, instance, folder
        self.models = {"folder": folder / "model", "file": folder / "alone" / "weights.bin"}
        # In code-point order "a-b" < "a.b" < "a/b" < "ab"; ordered by path components it is not so.
        for name in ("a/b", "a-b", "a.b", "ab", "empty", "deep/er/ünïcode"):
            path = self.models["folder"] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"" if name == "empty" else name.encode() * 200)
        self.models["file"].parent.mkdir()
        self.models["file"].write_bytes(b"weights" * 100)
        for curve in private_keys.CURVES:
            private_keys.generate(folder / curve, curve)
        self.leaf, self.between, self.root = chain(Kind("root"), Kind("between", length=0), leaf())
        self.leaf.write(folder)
        for name in ("between", "root"):
            (folder / name).mkdir()
            getattr(self, name).write(folder / name)

    def peer(self, *jobs: dict) -> list[str]:
        """Return what went wrong with each of `jobs`, "" if nothing."""
        done = subprocess.run(
            [self._python, PEER], input=json.dumps(jobs), capture_output=True, text=True,
            timeout=PATIENCE, check=True,
        )  # fmt: skip
        return json.loads(done.stdout)

    def signer(self, method: str) -> dict:
        if method == "sigstore":
            token = self._instance.token(ALICE)
            config = str(self._instance.trust_config)
            return {method: {"identity_token": token, "trust_config": config}}
        if method == "certificate":
            files = ("leaf.key", "leaf.pem", "between/leaf.pem")
            private, own, above = (str(self.folder / name) for name in files)
            return {
                method: {
                    "private_key": private,
                    "signing_certificate": own,
                    "certificate_chain": [above],
                }
            }
        return {"key": {"private_key": str(self.folder / method.removeprefix("key-"))}}

    def verifier(self, method: str) -> dict:
        if method == "sigstore":
            config = str(self._instance.trust_config)
            issuer = self._instance.issuer
            return {method: {"identity": ALICE, "oidc_issuer": issuer, "trust_config": config}}
        if method == "certificate":
            return {method: {"certificate_chain": [str(self.folder / "root" / "leaf.pem")]}}
        return {"key": {"public_key": str(self.public(method))}}

    def public(self, method: str) -> Path:
        return (self.folder / method.removeprefix("key-")).with_suffix(".pub")

    def job(self, do: str, case: Case, bundle: Path, **more) -> dict:
        by = self.signer(case.method) if do == "sign" else self.verifier(case.method)
        return {
            "do": do, "model": str(self.models[case.shape]), "bundle": str(bundle), "by": by,
            "hash": HASHES[case.hash_type], "shard_size": case.size, **more,
        }  # fmt: skip

    @cached_property
    def theirs(self) -> dict[Case, Path]:
        """Bundles that model_signing made."""
        bundles = {case: self.folder / f"theirs-{case}" for case in CASES}
        failed = self.peer(*(self.job("sign", *one) for one in bundles.items()))
        assert failed == [""] * len(CASES)
        return bundles

    @cached_property
    def ours(self) -> dict[Case, Path]:
        """Bundles that modelseal made."""
        bundles = {case: self.folder / f"ours-{case}" for case in CASES}
        for case, bundle in bundles.items():
            how = oms.serialization(case.hash_type, shard_size=case.size)
            options = {"options": SignOptions(how, files_as_models=True), "bundle": bundle}
            if case.method == "sigstore":
                token, trust = self._instance.token(ALICE), Trust.of(self._instance.trust_config)
                options |= {"identity_token": token, "trust": trust}
            else:
                options["signer"] = self.own_signer(case.method)
            sign_all([self.models[case.shape]], **options)
        return bundles

    def own_signer(self, method: str) -> KeySigner:
        if method != "certificate":
            return KeySigner(private_keys.load_private(self.folder / method.removeprefix("key-")))
        between = (self.between.certificate,)
        return with_certificate(self.leaf.key, (self.leaf.certificate,), between)

    @cached_property
    def said_of_ours(self) -> dict[Case, tuple[str, str]]:
        """What model_signing says of our bundles, and of the same with a changed model."""
        changed = {shape: str(self.changed(shape)) for shape in SHAPES}
        jobs = [self.job("verify", *one) for one in self.ours.items()]
        wrong = [{**job, "model": changed[c.shape]} for job, c in zip(jobs, CASES, strict=True)]
        said = self.peer(*jobs, *wrong)
        return dict(zip(CASES, zip(said[: len(jobs)], said[len(jobs) :], strict=True), strict=True))

    def changed(self, shape: str) -> Path:
        if shape == "file":
            (self.folder / "changed").mkdir()
            copy = Path(shutil.copy(self.models[shape], self.folder / "changed"))
            copy.write_bytes(copy.read_bytes()[:-1] + b"!")
            return copy
        copy = shutil.copytree(self.models[shape], self.folder / "changed-model")
        (copy / "a/b").write_bytes(b"!" * 600)
        return copy

    def we_say(self, method: str, model: Path, bundle: Path):
        if method == "sigstore":
            return modelseal.verify(
                model, bundle=bundle, identity=ALICE, issuer=self._instance.issuer,
                trusted_root=self._instance.trusted_root,
            )  # fmt: skip
        if method == "certificate":
            believed = TrustedAuthority((self.root.certificate,))
        else:
            believed = TrustedKey(keys.load_public(self.public(method)))
        return check_by(model, believed, bundle=bundle)


@pytest.fixture(scope="module")
def shop(peer_python, instance, tmp_path_factory):
    return Shop(peer_python, instance, tmp_path_factory.mktemp("shop"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_we_verify_what_it_signs(shop, case, tmp_path):
    model, bundle = shop.models[case.shape], shop.theirs[case]
    verdict = shop.we_say(case.method, model, bundle)
    assert verdict, verdict
    copy = tmp_path / model.name
    (shutil.copytree if model.is_dir() else shutil.copy)(model, copy)
    changed = copy / "ab" if model.is_dir() else copy
    changed.write_bytes(b"!" + changed.read_bytes()[1:])
    assert shop.we_say(case.method, copy, bundle).code == "digest-mismatch"


def refusal(case: Case) -> str:
    """Return how model_signing refuses what we sign, "" if it does not."""
    if case.shape == "file":
        return "Extra files found"  # it wants the name "."
    if case.shards and case.hash_type == "blake3":
        return "Extra files found"  # it makes no shards then
    return "Hash mismatch" if case.shards else ""  # it wants "sha256-sharded-200"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_verifies_what_we_sign(shop, case):
    said, of_changed = shop.said_of_ours[case]
    wanted = refusal(case)
    assert wanted in said if wanted else not said
    assert of_changed
    assert shop.we_say(case.method, shop.models[case.shape], shop.ours[case])


@pytest.mark.parametrize("hash_type", oms.HASHES)
@pytest.mark.parametrize("method", METHODS)
def test_it_verifies_our_file_in_its_folder(shop, method, hash_type):
    """Told to ignore files that are not signed, it looks for the base name in the folder."""
    case = Case(method, "file", hash_type, shards=False)
    job = shop.job("verify", case, shop.ours[case], lenient=True)
    model = Path(job["model"])
    folder = {**job, "model": str(model.parent)}
    changed = shop.folder / f"changed-{case}"
    changed.mkdir()
    (changed / model.name).write_bytes(b"changed")
    good, bad = shop.peer(folder, {**folder, "model": str(changed)})
    assert not good
    assert "Hash mismatch" in bad


# -- no bundle fits both ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "shards"), [("file", False), ("file", True), ("folder", True)]
)  # fmt: skip
def test_it_wants_a_spelling_that_the_specification_forbids(shop, shape, shards, tmp_path):
    """Names (6.1.2) and algorithms (6.3.2) as it writes them: it verifies those, and so do we."""
    case = Case("key-p256", shape, "sha256", shards)
    envelope = json.loads(shop.ours[case].read_text())["dsseEnvelope"]
    statement = json.loads(b64decode(envelope["payload"]))
    for resource in statement["predicate"]["resources"]:
        resource["name"] = resource["name"].replace("weights.bin", ".")
        resource["algorithm"] += f"-sharded-{SIZE}" if shards else ""
    bundle = tmp_path / "bundle.sig"
    bundle.write_bytes(shop.own_signer(case.method).statement(json.dumps(statement).encode()))
    assert shop.peer(shop.job("verify", case, bundle)) == [""]
    assert shop.we_say(case.method, shop.models[shape], bundle)


def test_what_it_finds_out_by_itself(shop):
    cases = [case for case in CASES if case.method == "key-p256" and case.shape == "folder"]
    jobs = [shop.job("verify", case, shop.theirs[case], hash=None) for case in cases]
    failed = {str(c): said for c, said in zip(cases, shop.peer(*jobs), strict=True) if said}
    assert failed.keys() == {
        "key-p256-folder-sha256-shards", "key-p256-folder-blake2b-files",
        "key-p256-folder-blake2b-shards",
    }  # fmt: skip


# -- links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("ab", "accepted"),
        ("deep", "digest-mismatch"),  # it does not look behind links to folders; we do
        ("../alone/weights.bin", "symlink"),  # out of the model: it signs it without a word
        (".", "symlink"),  # a circle
    ],
)
def test_its_links(shop, target, code, tmp_path):
    model = shutil.copytree(shop.models["folder"], tmp_path / "model")
    shutil.copytree(shop.models["file"].parent, tmp_path / "alone")
    (model / "link").symlink_to(target)
    case, bundle = Case("key-p256", "folder", "sha256", shards=False), tmp_path / "bundle.sig"
    job = {**shop.job("sign", case, bundle, links=True), "model": str(model)}
    assert shop.peer(job) == [""]
    assert shop.we_say(case.method, model, bundle).code == code


def test_our_links(shop, tmp_path):
    model = shutil.copytree(shop.models["folder"], tmp_path / "model")
    (model / "link").symlink_to("ab")
    options = SignOptions(oms.serialization(allow_symlinks=True))
    case, bundle = Case("key-p256", "folder", "sha256", shards=False), tmp_path / "bundle.sig"
    sign_all([model], signer=shop.own_signer(case.method), options=options, bundle=bundle)
    job = {**shop.job("verify", case, bundle, links=True), "model": str(model)}
    (model / "link").unlink()
    (model / "link").symlink_to("a.b")
    assert "Hash mismatch" in shop.peer(job)[0]
    (model / "link").unlink()
    (model / "link").symlink_to("ab")
    assert shop.peer(job) == [""]
