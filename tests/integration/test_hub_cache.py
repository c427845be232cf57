# SPDX-License-Identifier: Apache-2.0
"""Models in the cache of huggingface_hub: signed, verified and loaded where they lie."""

from __future__ import annotations

import asyncio
import shutil

import hub
import pytest

import modelseal
from modelseal.admission.discover import discover
from modelseal.errors import FormatError, PolicyRefused
from modelseal.formats import bundle, intoto, oms
from modelseal.servers.mlserver import VerifiedModelRepository
from modelseal.servers.mlserver.refusal import Refused

ALICE = "alice@example.com"
FILES = {
    "config.json": b"{}",
    "sub/weights.bin": b"weights" * 100,
    ".gitattributes": b"*.bin filter=lfs",
}
NAMES = {"config.json", "sub/weights.bin"}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def downloaded(cache):
    with hub.serving("org/digits", FILES) as served:
        return served.download(cache)


def sign(instance, path, **more):
    token = instance.token(ALICE)
    return modelseal.sign(path, trust=instance.trust_config, identity_token=token, **more)


def signer(instance):
    return {
        "identity": ALICE, "issuer": instance.issuer, "trust": instance.trusted_root,
    }  # fmt: skip


def verify(instance, path, **more):
    return modelseal.verify(path, **signer(instance), **more)


def files_in(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def manifest_in(path):
    return oms.from_statement(intoto.parse(bundle.parse(path.read_bytes()).content.payload))


def check_loads(instance, path):
    with modelseal.load(path, **signer(instance)) as copy:
        assert files_in(copy) == NAMES
        assert not any(p.is_symlink() for p in copy.rglob("*"))
        assert (copy / "sub" / "weights.bin").read_bytes() == FILES["sub/weights.bin"]


def test_a_snapshot_is_signed_verified_and_loaded(instance, downloaded):
    assert (downloaded / "config.json").is_symlink()
    signed = sign(instance, downloaded)

    assert manifest_in(signed.bundle).serialization.allow_symlinks
    assert manifest_in(signed.bundle).file_names() == NAMES
    assert verify(instance, downloaded)
    check_loads(instance, downloaded)


def test_a_plain_copy_verifies_with_the_same_bundle(instance, downloaded, tmp_path):
    sign(instance, downloaded)
    copy = shutil.copytree(downloaded, tmp_path / "copy", symlinks=False)

    assert verify(instance, copy)
    check_loads(instance, copy)


@pytest.fixture
def uploaded(instance, tmp_path, cache):
    """Return a snapshot whose bundle came with it, made of plain files."""
    plain = tmp_path / "plain"
    for name, data in FILES.items():
        (plain / name).parent.mkdir(parents=True, exist_ok=True)
        (plain / name).write_bytes(data)
    signed = sign(instance, plain)
    assert not manifest_in(signed.bundle).serialization.allow_symlinks
    with hub.serving("org/digits", FILES | {"model.sig": signed.bundle.read_bytes()}) as served:
        return served.download(cache)


def test_a_model_signed_before_it_was_uploaded(instance, uploaded):
    assert (uploaded / "model.sig").is_symlink()
    assert verify(instance, uploaded)
    check_loads(instance, uploaded)


def test_a_model_that_was_signed_before_is_signed_by_others_too(instance, uploaded):
    sign(instance, uploaded, add=True)
    two = modelseal.verify_all([uploaded], **signer(instance))
    assert all(two)
    first, second = (manifest_in(uploaded / name) for name in ("model.sig", "model.sig.2"))
    assert (first.resources, first.serialization) == (second.resources, second.serialization)


def test_all_models_of_a_cache(instance, downloaded, cache):
    sign(instance, downloaded)
    assert discover(cache) == [downloaded]


def test_a_folder_and_a_file_of_a_snapshot(instance, downloaded):
    for path in (downloaded / "sub", downloaded / "config.json"):
        sign(instance, path)
        assert verify(instance, path)
        with modelseal.load(path, **signer(instance)) as copy:
            assert copy.name == "config.json" or files_in(copy) == {"weights.bin"}


def test_a_file_that_repositories_share(instance, downloaded):
    hub.share(downloaded, "sub/weights.bin")
    assert (
        (downloaded.parents[1] / "blobs")
        .joinpath((downloaded / "sub" / "weights.bin").readlink().name)
        .is_symlink()
    )
    sign(instance, downloaded)

    assert verify(instance, downloaded)
    check_loads(instance, downloaded)


def test_a_changed_blob_is_a_changed_file(instance, downloaded):
    sign(instance, downloaded)
    blob = (downloaded / "config.json").resolve()
    blob.chmod(0o600)
    blob.write_bytes(b"[]")

    assert verify(instance, downloaded).diff.changed == ("config.json",)
    with pytest.raises(PolicyRefused), modelseal.load(downloaded, **signer(instance)):
        pass


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../../models--org--other/blobs/x", "leads out of the model"),
        ("../../../blobs/x", "leads out of the model"),
        ("../../../blobs/ab/x", "leads out of the model"),
        ("../../../../secret", "leads out of the model"),
        ("../../../" + "../" * 30 + "etc/passwd", "leads out of the model"),
        ("{cache}/models--org--digits/blobs/x", "leads out of the model"),
        ("../../blobs/nothing", "leads nowhere"),
        ("../..", "leads in a circle"),
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(instance, downloaded, cache, target, why):
    sign(instance, downloaded)
    for name in ("secret", "cache/blobs/x", "cache/blobs/ab/x", "cache/models--org--other/blobs/x"):
        (cache.parent / name).parent.mkdir(parents=True, exist_ok=True)
        (cache.parent / name).write_bytes(FILES["config.json"])
    (downloaded / "config.json").unlink()
    (downloaded / "config.json").symlink_to(target.format(cache=cache))

    assert verify(instance, downloaded).code == "symlink"
    with pytest.raises(PolicyRefused, match=why), modelseal.load(downloaded, **signer(instance)):
        pass
    with pytest.raises(FormatError, match=why):
        sign(instance, downloaded, overwrite=True)


def test_a_bundle_that_leads_elsewhere_is_not_read(instance, downloaded, tmp_path):
    signed = sign(instance, downloaded)
    signed.bundle.rename(tmp_path / "model.sig")
    signed.bundle.symlink_to(tmp_path / "model.sig")
    assert verify(instance, downloaded).code == "symlink"


def test_links_elsewhere_are_refused_as_before(instance, downloaded, tmp_path):
    sign(instance, downloaded)
    moved = shutil.copytree(downloaded.parents[1], tmp_path / "org-digits", symlinks=True)
    assert verify(instance, moved / "snapshots" / hub.COMMIT).code == "symlink"


def test_mlserver_serves_a_snapshot(make_site, tmp_path, cache):
    site = make_site(tmp_path)
    plain = site.signed(hub.COMMIT)
    files = {p.name: p.read_bytes() for p in plain.iterdir()}
    with hub.serving("org/digits", files) as served:
        snapshot = served.download(cache)
    served = VerifiedModelRepository(
        str(site.config), str(snapshot.parent), "policy.toml", str(site.store)
    )

    (settings,) = asyncio.run(served.find(hub.COMMIT))
    assert settings.parameters.uri.startswith(f"{site.store}/")
    assert [one.name for one in asyncio.run(served.list())] == [hub.COMMIT]

    blob = (snapshot / "model.joblib").resolve()
    blob.chmod(0o600)
    blob.write_bytes(site.payload())
    assert asyncio.run(served.list()) == []
    with pytest.raises(Refused, match=r"\[digest-mismatch\]"):
        asyncio.run(served.find(hub.COMMIT))
    assert site.untouched
