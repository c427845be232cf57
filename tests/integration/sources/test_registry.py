# SPDX-License-Identifier: Apache-2.0
"""`oci://`: the real oras, against a registry on loopback, with and without referrers."""

from __future__ import annotations

import io
import json
import tarfile
from base64 import b64encode

import oci_registry
import pytest
from fetching import left_beside, read, signed_model
from in_process import invoke
from oci_registry import Pusher, digest

REPOSITORY = "org/tiny"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(params=[True, False], ids=["referrers", "fallback-tag"])
def store(request, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with oci_registry.serving(referrers=request.param) as running:
        yield running


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


@pytest.fixture
def uri(store):
    return f"oci://{store.host}/{REPOSITORY}"


@pytest.fixture
def pushed(store, model):
    """Return the digest of the model, whose signature refers to it."""
    unsigned = {name: data for name, data in model.files.items() if name != "model.sig"}
    pusher = Pusher(store.host)
    found = pusher.model(REPOSITORY, "v1", unsigned)
    pusher.attach(REPOSITORY, found, model.files["model.sig"], fallback=not store.referrers)
    return found


def test_the_signature_is_a_file_of_the_artifact(store, model, uri, out):
    found = Pusher(store.host).model(REPOSITORY, "v1", model.files)
    done = model.fetch(f"{uri}:v1", out)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"revision {uri}@{found}\n")
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]


def test_the_signature_refers_to_the_artifact(pushed, model, uri, out):
    done = model.fetch(f"{uri}:v1", out)
    assert done.exit_code == 0, done.output
    assert read(out) == model.files
    assert model.fetch(f"{uri}@{pushed}", out.with_name("by-digest")).exit_code == 0
    assert invoke("verify", f"{uri}:v1", "--key", model.key).exit_code == 0


def test_an_unsigned_artifact_is_refused_before_its_layers_are_asked_for(store, model, uri, out):
    Pusher(store.host).model(REPOSITORY, "v1", {"weights.bin": b"w"})
    store.asked.clear()
    done = model.fetch(f"{uri}:v1", out)
    assert (done.exit_code, "[unsigned]" in done.stderr) == (1, True), done.output
    assert [path for _, path, _ in store.asked if "/blobs/" in path] == []
    assert left_beside(out) == []


def test_a_tag_that_moves_is_pinned(store, pushed, model, out, tmp_path):
    uri, pin = f"oci://{store.host}/{REPOSITORY}", tmp_path / "tiny.lock"
    assert model.fetch(f"{uri}:v1", out, "--pin", pin).exit_code == 0
    assert json.loads(pin.read_text())["revision"] == f"{uri}@{pushed}"
    Pusher(store.host).model(REPOSITORY, "v1", model.sign(tmp_path / "v2", {"new": b"new"}))
    again = out.with_name("again")
    assert model.fetch(f"{uri}:v1", again, "--pin", pin).exit_code == 0
    assert read(again) == model.files


@pytest.mark.parametrize("what", ["manifest", "layer", "signature"])
def test_a_registry_that_lies_about_digests(store, pushed, model, out, what):
    if what == "manifest":
        store.manifests[pushed] = json.dumps(json.loads(store.manifests[pushed]), indent=1).encode()
    else:
        name = "model.sig" if what == "signature" else "weights/a.bin"
        store.blobs[digest(model.files[name])] = b"x" * len(model.files[name])
    done = model.fetch(f"oci://{store.host}/{REPOSITORY}@{pushed}", out)
    assert (done.exit_code, "[source-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_a_transfer_that_stops_is_continued(store, pushed, model, uri, out):
    weights = digest(model.files["weights/a.bin"])
    store.cut[weights] = 66_000
    done = model.fetch(f"{uri}:v1", out)
    assert (done.exit_code, "[transfer-failed]" in done.stderr) == (3, True), done.output
    assert left_beside(out) == [".tiny.fetch"]
    store.asked.clear()
    assert model.fetch(f"{uri}:v1", out).exit_code == 0
    assert read(out) == model.files
    assert [r for _, path, r in store.asked if weights in path] == ["bytes=65536-"]


@pytest.mark.parametrize("form", ["", "+gzip"])
def test_a_model_pack_of_tars(store, model, uri, out, form):
    def packed(name, data):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz" if form else "w") as archive:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        return buffer.getvalue()

    layers = {name: packed(name, data) for name, data in model.files.items()}
    kind = f"application/vnd.cncf.model.weight.v1.tar{form}"
    Pusher(store.host).model(REPOSITORY, "v1", layers, "org.cncf.model.filepath", kind)
    done = model.fetch(f"{uri}:v1", out)
    assert done.exit_code == 0, done.output
    assert read(out) == model.files


@pytest.mark.parametrize("what", ["two", "link", "folder", "junk"])
def test_tars_that_are_no_file(store, model, uri, out, what):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        if what == "link":
            info = tarfile.TarInfo("weights/a.bin")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
        for name in ("a", "b") if what == "two" else ():
            archive.addfile(tarfile.TarInfo(name))
    data = b"junk" * 1000 if what == "junk" else buffer.getvalue()
    files = {**model.files, "weights/a.bin": data}
    Pusher(store.host).model(
        REPOSITORY, "v1", files, "org.cncf.model.filepath",
        "application/vnd.cncf.model.weight.v1.tar",
    )  # fmt: skip
    done = model.fetch(f"{uri}:v1", out)
    assert done.exit_code == 1, done.output
    assert left_beside(out) == []


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a\\b"])
def test_names_that_lead_elsewhere(store, model, uri, out, name):
    Pusher(store.host).model(REPOSITORY, "v1", {**model.files, name: b"x"})
    done = model.fetch(f"{uri}:v1", out)
    assert (done.exit_code, "[unsafe-name]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_what_leads_nowhere(store, pushed, model, uri, out):
    for text, code, exit_code in (
        (f"{uri}:v9", "no-such-revision", 2),
        (f"{uri}@sha256:{'0' * 64}", "no-such-revision", 2),
        (f"{uri}:bad tag", "bad-uri", 2),
        ("oci://127.0.0.1:9/a", "transfer-failed", 3),
        ("oci://UPPER", "bad-uri", 2),
    ):
        done = model.fetch(text, out)
        assert (done.exit_code, f"[{code}]" in done.stderr) == (exit_code, True), done.output
    assert left_beside(out) == []


def test_an_index_is_no_model(store, model, uri, out):
    Pusher(store.host).manifest(
        REPOSITORY, "v1", {"schemaVersion": 2, "mediaType": oci_registry.INDEX, "manifests": []}
    )
    done = model.fetch(f"{uri}:v1", out)
    assert (done.exit_code, "[unsupported-artifact]" in done.stderr) == (1, True), done.output


def test_credentials_are_those_of_docker(model, out, tmp_path, monkeypatch):
    login = ("alice", "secret-word")
    with oci_registry.serving(referrers=True, login=login) as store:
        Pusher(store.host, login).model(REPOSITORY, "v1", model.files)
        uri = f"oci://{store.host}/{REPOSITORY}:v1"
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        done = model.fetch(uri, out)
        assert (done.exit_code, "[access-denied]" in done.stderr) == (3, True), done.output

        def sign_in(password):
            auth = b64encode(f"alice:{password}".encode()).decode()
            config = {"auths": {store.host: {"auth": auth}}}
            (tmp_path / "config.json").write_text(json.dumps(config))

        sign_in("wrong-word")
        done = model.fetch(uri, out)
        assert (done.exit_code, "[access-denied]" in done.stderr) == (3, True), done.output
        assert "wrong-word" not in done.output
        assert left_beside(out) == []
        sign_in("secret-word")
        done = model.fetch(uri, out)
        assert done.exit_code == 0, done.output
