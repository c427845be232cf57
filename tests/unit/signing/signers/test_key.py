# SPDX-License-Identifier: Apache-2.0
"""Every kind of key on plain artifacts: which digest it signs, and Ed25519, which signs none."""

from __future__ import annotations

import hashlib
import json

import pytest
from in_process import invoke
from verifying import proved_by_key

from modelseal.errors import Unverified
from modelseal.formats import bundle as bundle_format
from modelseal.signing.signers import NOTED, WHOLE_LIMIT
from modelseal.trust import keys
from modelseal.trust.signature import Prehashed

WEIGHTS = b"weights"
# RSA of 4096 bits takes seconds to make; here it differs from 2048 by nothing.
SIGNS = {"p256": "sha256", "p384": "sha384", "p521": "sha512", "rsa2048": "sha256",
         "rsa3072": "sha256", "ed25519": None}  # fmt: skip


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Give the files of one key pair of each kind."""
    folder = tmp_path_factory.mktemp("keys")
    made = {kind: folder / f"{kind}.key" for kind in SIGNS}
    for kind, path in made.items():
        assert invoke("key", "generate", str(path), "--type", kind).exit_code == 0
    return {kind: (path, path.with_suffix(".pub")) for kind, path in made.items()}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(WEIGHTS)
    return path


def sign(*arguments):
    return invoke("sign", *map(str, arguments))


@pytest.mark.parametrize("kind", SIGNS)
def test_a_file(kind, pairs, file, tmp_path):
    private, public = pairs[kind]
    bundle = tmp_path / "bundle.json"
    done = sign(file, "--key", private, "--bundle", bundle)
    assert done.exit_code == 0, done.output

    name = SIGNS[kind]
    noted = json.loads(bundle.read_bytes())["messageSignature"]["messageDigest"]["algorithm"]
    assert noted == NOTED[name or "sha256"]
    signed = bundle_format.parse(bundle.read_bytes())
    key = keys.load_public(public)
    if name is None:
        proved_by_key(signed, key, artifact=WEIGHTS)
        other = b"other weights"
    else:
        proved_by_key(signed, key, artifact=Prehashed(name, hashlib.new(name, WEIGHTS).digest()))
        other = Prehashed(name, hashlib.new(name, b"other weights").digest())
    with pytest.raises(Unverified) as caught:
        proved_by_key(signed, key, artifact=other)
    assert caught.value.code == "signature-invalid"


@pytest.mark.parametrize("kind", ["rsa2048", "ed25519"])
def test_a_folder_is_signed_by_elliptic_curve_keys_only(kind, pairs, tmp_path):
    (tmp_path / "weights").write_bytes(WEIGHTS)
    done = sign(tmp_path, "--key", pairs[kind][0])
    assert (done.exit_code, "[unsupported-key]" in done.output) == (1, True)
    assert not (tmp_path / "model.sig").exists()


def test_a_file_that_is_too_large_to_be_signed_whole(pairs, tmp_path):
    file = tmp_path / "large.bin"
    with file.open("wb") as sparse:
        sparse.truncate(WHOLE_LIMIT + 1)
    done = sign(file, "--key", pairs["ed25519"][0])
    assert (done.exit_code, "[too-large]" in done.output) == (1, True)
    assert sign(file, "--key", pairs["p256"][0]).exit_code == 0


@pytest.mark.parametrize("kind", SIGNS)
def test_an_empty_file_is_refused(kind, pairs, tmp_path):
    file = tmp_path / "empty.bin"
    file.touch()
    done = sign(file, "--key", pairs[kind][0])
    assert (done.exit_code, "[empty-file]" in done.output) == (1, True)


@pytest.mark.parametrize("first", SIGNS)
@pytest.mark.parametrize("second", ["p256", "p384", "ed25519"])
def test_a_second_signature_by_another_kind_of_key(first, second, pairs, file):
    assert sign(file, "--key", pairs[first][0]).exit_code == 0
    assert sign(file, "--add", "--key", pairs[second][0]).exit_code == 0
    file.write_bytes(b"other weights")
    done = sign(file, "--add", "--key", pairs[second][0])
    assert (done.exit_code, "[not-the-same-files]" in done.output) == (2, True)


@pytest.mark.parametrize("kind", ["p384", "ed25519"])
def test_an_update(kind, pairs, file):
    for content in (WEIGHTS, b"other weights"):
        file.write_bytes(content)
        assert sign(file, "--update", "--key", pairs[kind][0]).exit_code == 0
    signed = bundle_format.parse(file.with_name("model.bin.sigstore.json").read_bytes())
    name = SIGNS[kind] or "sha256"
    assert signed.content.digest == hashlib.new(name, b"other weights").digest()
