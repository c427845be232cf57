# SPDX-License-Identifier: Apache-2.0
"""`hf://`: the real huggingface_hub, against a hub on loopback, good and bad."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager

import hub
import pytest
from fetching import FILES, MODELSEAL, left_beside, read, signed_model
from in_process import invoke
from patience import PATIENCE, wait_until

import modelseal

URI = "hf://org/tiny"
SECRET = "hf_abcdefghijklmnopqrstuvwxyz"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


def point_to(endpoint, monkeypatch):
    """Have the client take `endpoint` for HF_ENDPOINT, which it reads when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def server(model, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with hub.serving("org/tiny", {**model.files, ".gitattributes": b"* -text\n"}) as running:
        point_to(running.endpoint, monkeypatch)
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-token"))
        yield running


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


def test_an_accepted_model_appears_with_what_was_signed(server, model, out):
    done = model.fetch(URI, out)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == f"revision {URI}@{hub.COMMIT}"
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]
    assert invoke("verify", out, "--key", model.key).exit_code == 0


def test_json_has_the_revision_and_the_verdict(server, model, out):
    document = json.loads(model.fetch(URI, out, "--format", "json").stdout)
    assert document["revision"] == f"{URI}@{hub.COMMIT}"
    assert (document["verdict"]["verdict"], document["path"]) == ("accepted", str(out))


def test_a_stranger_is_refused_before_the_weights_are_downloaded(server, model, out, tmp_path):
    assert invoke("key", "generate", tmp_path / "other.key").exit_code == 0
    done = invoke("fetch", URI, "--key", tmp_path / "other.pub", "--out", out)
    assert (done.exit_code, "[key-mismatch]" in done.stderr) == (1, True), done.output
    assert server.downloads() == ["model.sig"]
    assert left_beside(out) == []


@pytest.mark.parametrize("change", ["missing", "added", "unsigned"])
def test_what_the_list_of_files_tells_is_refused_at_once(server, model, out, change):
    if change == "missing":
        del server.files["weights/a.bin"]
    elif change == "added":
        server.files["setup.py"] = b"import os"
    else:
        del server.files["model.sig"]
    done = model.fetch(URI, out)
    code = "[unsigned]" if change == "unsigned" else "[digest-mismatch]"
    assert (done.exit_code, code in done.stderr) == (1, True), done.output
    assert set(server.downloads()) <= {"model.sig"}
    assert left_beside(out) == []


def test_other_bytes_are_refused_and_nothing_stays(server, model, out):
    server.files["weights/a.bin"] = b"x" * 70_000
    done = model.fetch(URI, out)
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    assert "'weights/a.bin'" in done.stderr
    assert left_beside(out) == []


@contextmanager
def stalled(server, model, out):
    """Give the process of a fetch to which half of a file has come, and no more will."""
    server.trouble.stall = {"weights/a.bin": 40_000}
    command = [*MODELSEAL, "fetch", URI, "--key", model.key, "--out", out]
    environment = {**os.environ, "HF_ENDPOINT": server.endpoint, "HF_HUB_DISABLE_XET": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            assert server.trouble.stalled.wait(PATIENCE)
            wait_until(lambda: "weights/b.bin" in read(kept_of(out)), "the other file")
            yield process
        finally:
            server.trouble.go_on.set()
            process.kill()
            server.trouble.stall = {}


def kept_of(out):
    return out.with_name(".tiny.fetch") / "model" / "tiny"


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_transfer_is_continued(server, model, out, end, code):
    with stalled(server, model, out) as process:
        process.send_signal(end)
        assert process.wait(PATIENCE) == code
    assert left_beside(out) == [".tiny.fetch"]
    assert out.with_name(".tiny.fetch").stat().st_mode & 0o777 == 0o700
    server.asked.clear()
    done = model.fetch(URI, out)
    assert done.exit_code == 0, done.output
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]
    assert server.downloads() == ["weights/a.bin"]  # the library keeps whole files only


def test_what_was_interrupted_is_no_part_of_another_revision(server, model, out, tmp_path):
    with stalled(server, model, out) as process:
        process.kill()
        process.wait(PATIENCE)
    server.commit("6" * 40, model.sign(tmp_path / "v2", {"new.bin": b"new"}))
    assert model.fetch(URI, out).exit_code == 0
    assert sorted(read(out)) == ["model.sig", "new.bin"]
    assert left_beside(out) == ["tiny"]


def test_two_at_once(server, model, out):
    with stalled(server, model, out):
        done = model.fetch(URI, out)
        assert (done.exit_code, "[fetch-in-progress]" in done.stderr) == (3, True), done.output
    assert model.fetch(URI, out).exit_code == 0


def test_a_tag_that_moves_is_pinned(server, model, out, tmp_path):
    pin = tmp_path / "tiny.lock"
    server.branches["v1"] = hub.COMMIT
    assert model.fetch(f"{URI}@v1", out, "--pin", pin).exit_code == 0
    assert json.loads(pin.read_text())["revision"] == f"{URI}@{hub.COMMIT}"
    server.commit("6" * 40, model.sign(tmp_path / "v2", {"new.bin": b"new"}), "v1")
    again = out.with_name("again")
    assert model.fetch(f"{URI}@v1", again, "--pin", pin).exit_code == 0
    assert read(again) == model.files
    newer = out.with_name("newer")
    assert model.fetch(f"{URI}@v1", newer).exit_code == 0
    assert "new.bin" in read(newer)


def test_with_a_pin_the_second_run_asks_nobody(server, model, out, tmp_path):
    pin = tmp_path / "tiny.lock"
    assert model.fetch(URI, out, "--pin", pin).exit_code == 0
    server.asked.clear()
    done = model.fetch(URI, out, "--pin", pin)
    assert (done.exit_code, server.asked) == (0, []), done.output
    (out / "config.json").write_text("changed")
    done = model.fetch(URI, out, "--pin", pin)
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True)
    assert server.asked == []
    assert read(out)["config.json"] == b"changed"  # it is not ours to remove


def test_what_is_signed_but_not_what_was_pinned_is_refused(server, model, out, tmp_path):
    pin = tmp_path / "tiny.lock"
    assert model.fetch(URI, out, "--pin", pin).exit_code == 0
    server.commits[hub.COMMIT] = model.sign(tmp_path / "v2", {"new.bin": b"new"})
    other = out.with_name("other")
    done = model.fetch(URI, other, "--pin", pin)
    assert (done.exit_code, "[revision-changed]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == ["tiny"]
    done = model.fetch("hf://org/other", other, "--pin", pin)
    assert (done.exit_code, "[other-pin]" in done.stderr) == (2, True)
    pin.write_text('{"version": 1}')
    assert "[bad-pin]" in model.fetch(URI, other, "--pin", pin).stderr


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("hf://org/none", "no-such-revision"),
        (f"{URI}@v9", "no-such-revision"),
        ("hf://tiny", "bad-uri"),
        ("hf://org/tiny/more", "bad-uri"),
        ("hf://user:secret-word@host/tiny", "credentials-in-uri"),
        ("ftp://host/tiny", "unknown-scheme"),
        ("models/tiny", "unknown-scheme"),
    ],
)
def test_uris_that_lead_nowhere(server, model, out, uri, code):
    done = model.fetch(uri, out)
    assert (done.exit_code, f"[{code}]" in done.stderr) == (2, True), done.output
    assert "hint: " in done.stderr
    assert "secret-word" not in done.output
    assert left_beside(out) == []


def test_credentials_are_those_of_the_library(server, model, out, monkeypatch):
    server.trouble.token = SECRET
    done = model.fetch(URI, out)
    assert (done.exit_code, "[access-denied]" in done.stderr) == (3, True), done.output
    assert left_beside(out) == []
    monkeypatch.setenv("HF_TOKEN", SECRET[:-1])
    done = model.fetch(URI, out)
    assert (done.exit_code, "[access-denied]" in done.stderr) == (3, True), done.output
    assert SECRET[:-1] not in done.output
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert model.fetch(URI, out).exit_code == 0


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\b", "a//b", "", "."])
def test_names_that_lead_elsewhere(server, model, out, name):
    server.trouble.listed = [name]
    done = model.fetch(URI, out)
    assert (done.exit_code, "[unsafe-name]" in done.stderr) == (1, True), done.output
    assert server.downloads() == []
    assert left_beside(out) == []


@pytest.mark.parametrize("size", [69_999, 70_001, 10])
def test_a_hub_that_lies_about_sizes(server, model, out, size):
    server.trouble.sizes = {"weights/a.bin": size}
    done = model.fetch(URI, out)
    assert done.exit_code in {1, 3}, done.output
    assert "[source-mismatch]" in done.stderr or "[transfer-failed]" in done.stderr
    assert not out.exists()


def test_more_than_there_is_room_for(server, model, out):
    server.trouble.sizes = {"weights/a.bin": 1 << 62}
    done = model.fetch(URI, out)
    assert (done.exit_code, "[disk-full]" in done.stderr) == (3, True), done.output
    assert "weights/a.bin" not in server.downloads()
    assert not out.exists()


def test_what_is_there_is_not_touched(server, model, out):
    out.mkdir()
    (out / "mine").write_text("mine")
    done = model.fetch(URI, out)
    assert (done.exit_code, "[already-exists]" in done.stderr) == (2, True)
    assert read(out) == {"mine": b"mine"}


def test_nothing_answers(server, model, out, monkeypatch):
    point_to("http://127.0.0.1:9", monkeypatch)
    done = model.fetch(URI, out)
    assert (done.exit_code, "[transfer-failed]" in done.stderr) == (3, True), done.output
    assert left_beside(out) == []


def test_verify_and_load_take_the_same_uris(server, model, tmp_path):
    done = invoke("verify", URI, "--key", model.key)
    assert done.exit_code == 0, done.output
    assert f"{URI}@{hub.COMMIT}" in done.stdout
    verdict = modelseal.verify(URI, key=str(model.key))
    assert verdict.model == f"{URI}@{hub.COMMIT}"
    assert verdict
    with modelseal.load(URI, key=str(model.key)) as copy:
        assert {**read(copy), "model.sig": model.files["model.sig"]} == model.files
        assert copy.is_dir()
    server.files["config.json"] = b"[]"
    assert invoke("verify", URI, "--key", model.key).exit_code == 1
    assert modelseal.verify(URI, key=str(model.key)).code == "digest-mismatch"
    with pytest.raises(modelseal.PolicyRefused), modelseal.load(URI, key=str(model.key)):
        pass


def test_errors_of_whoever_loads_stay_theirs(server, model):
    with pytest.raises(FileNotFoundError), modelseal.load(URI, key=str(model.key)) as copy:
        (copy / "missing").read_bytes()


def test_verify_takes_uris_between_paths(server, model, tmp_path):
    signed = tmp_path / "here"
    model.sign(signed, FILES)
    done = invoke("verify", signed, "--key", model.key, URI)
    assert done.exit_code == 0, done.output
    assert "2 models: 2 accepted" in done.stderr
    done = invoke("verify", URI, "--key", model.key, "--recursive")
    assert (done.exit_code, "[bad-options]" in done.stderr) == (2, True)
