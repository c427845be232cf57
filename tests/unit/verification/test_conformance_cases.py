# SPDX-License-Identifier: Apache-2.0
"""The cases of the Sigstore client conformance suite, by its names, made of real parts.

They are in tests/helpers/client_cases.

Each is what its README there asks for: a bundle, sometimes a trusted root or a key, and whether it
must verify ("_fail": it must not). All are asked of `tests/conformance/client` twice, with the
artifact and with its digest. Cases that the suite checks with the public instance have a root of
their own here; the instance itself is in tests/integration/test_conformance_client.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from client_cases import CASES
from client_cases.case import ALICE, ARTIFACT, ISSUER, V2, Case, Shop
from client_cases.reasons import GO_DIFFERS, REASON_OF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TESTS = Path(__file__).parents[2]
MAIN = runpy.run_path(str(TESTS / "conformance" / "client"))["main"]


@pytest.fixture(scope="module")
def shop(workshop, other_forge) -> Shop:
    return Shop(workshop, other_forge)


Client = Callable[[list[str]], tuple[int, str]]


def ours(arguments: list[str]) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = MAIN(arguments)
    return status, said.getvalue()


def sigstore_go(arguments: list[str]) -> tuple[int, str]:
    peers = runpy.run_path(str(TESTS.parent / "scripts" / "peers" / "install.py"))
    done = subprocess.run(
        [peers["SIGSTORE_GO"], *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def ask(made: Case, shop: Shop, folder: Path, given: str, client: Client = ours) -> tuple[int, str]:
    """Return the client's exit status and what it said."""
    raw = made.bundle if isinstance(made.bundle, bytes) else json.dumps(made.bundle).encode()
    bundle, root, key = (folder / name for name in ("bundle.json", "root.json", "key.pub"))
    bundle.write_bytes(raw)
    root.write_text(json.dumps(made.root or shop.root))
    whose: list[object] = []
    if made.key is not None:
        pem = made.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        key.write_bytes(pem)
        whose = ["--key", key]
    if made.key is None or made.identity:
        whose += ["--certificate-identity", ALICE, "--certificate-oidc-issuer", ISSUER]
    arguments = ["verify-bundle", "--bundle", bundle, *whose, "--trusted-root", root, given]
    return client([str(one) for one in arguments])


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("by", ["PATH", "DIGEST"])
def test_case(name: str, by: str, shop: Shop, tmp_path: Path) -> None:
    made = CASES[name](shop)
    artifact = tmp_path / "a.txt"
    artifact.write_bytes(made.artifact)
    given = str(artifact) if by == "PATH" else f"sha256:{sha256(made.artifact).hexdigest()}"
    status, said = ask(made, shop, tmp_path, given)
    if name.endswith("_fail"):
        assert status in {1, 2}
        assert f"[{REASON_OF[name]}]" in said
    else:
        assert status == 0, said


def test_a_file_named_like_a_digest_is_a_file(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"sha256:{sha256(b'something else').hexdigest()}"
    Path(name).write_bytes(ARTIFACT)
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, name)[0] == 0
    Path(name).unlink()
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, name)[0] == 1


@pytest.mark.parametrize(
    "given", ["sha256:00", "sha256:" + "g" * 64, "sha512:" + "0" * 128, "gone"]
)
def test_what_is_no_digest_is_a_path(given, shop, tmp_path):
    assert ask(Case(shop.bundle(*V2)), shop, tmp_path, given)[0] == 2


@pytest.mark.interop
@pytest.mark.parametrize("name", sorted(CASES))
def test_sigstore_go_agrees(name: str, shop: Shop, tmp_path: Path) -> None:
    made = CASES[name](shop)
    artifact = tmp_path / "a.txt"
    artifact.write_bytes(made.artifact)
    for given in (str(artifact), f"sha256:{sha256(made.artifact).hexdigest()}"):
        status, said = ask(made, shop, tmp_path, given, sigstore_go)
        accepted = name.endswith("_fail") == (name in GO_DIFFERS)
        assert (status == 0) == accepted, said
