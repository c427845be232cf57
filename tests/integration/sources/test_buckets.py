# SPDX-License-Identifier: Apache-2.0
"""`s3://`: the real obstore, against moto's S3 on loopback."""

from __future__ import annotations

import json

import output_schema
import pytest
import s3_server
from fetching import FILES, left_beside, read, signed_model, write
from in_process import invoke

import modelseal

URI = "s3://models/org/tiny"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def running():
    with s3_server.serving() as started:
        yield started


@pytest.fixture
def s3(running, model, monkeypatch):
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.put("org/tiny/", model.files)
    running.put("org/tiny2/", {"other": b"another model whose name begins like this one"})
    running.asked.clear()
    yield running
    running.before_get = None
    running.cut.clear()
    for name in list(model.files):
        running.delete(f"org/tiny/{name}")


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


def test_an_accepted_model_appears(s3, model, out):
    done = model.fetch(URI, out)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"revision {URI}@sha256:")
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]


def test_a_stranger_is_refused_before_the_weights_are_downloaded(s3, out, tmp_path):
    assert invoke("key", "generate", tmp_path / "other.key").exit_code == 0
    done = invoke("fetch", URI, "--key", tmp_path / "other.pub", "--out", out)
    assert (done.exit_code, "[key-mismatch]" in done.stderr) == (1, True), done.output
    read_objects = [path for method, path, _ in s3.asked if method == "GET" and path.count("/") > 2]
    assert read_objects == ["/models/org/tiny/model.sig"]
    assert left_beside(out) == []


def test_an_object_that_changes_meanwhile_is_noticed(s3, model, out):
    def change(path):
        if path.endswith("a.bin"):
            s3.before_get = None
            s3.put("org/tiny/", {"weights/a.bin": b"x" * 70_000})

    s3.before_get = change
    done = model.fetch(URI, out)
    assert (done.exit_code, "[source-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_an_object_that_goes_meanwhile_is_noticed(s3, model, out):
    s3.before_get = lambda path: s3.delete("org/tiny/weights/a.bin") if "sig" in path else None
    done = model.fetch(URI, out)
    assert (done.exit_code, "[source-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_a_transfer_that_stops_is_continued(s3, model, out):
    s3.cut["/models/org/tiny/weights/a.bin"] = 40_000
    done = model.fetch(URI, out)
    if done.exit_code:  # obstore continues by itself where it can
        assert (done.exit_code, "[transfer-failed]" in done.stderr) == (3, True), done.output
        assert left_beside(out) == [".tiny.fetch"]
        assert model.fetch(URI, out).exit_code == 0
    assert read(out) == model.files
    continued = [asked for method, path, asked in s3.asked if path.endswith("a.bin") and asked]
    assert [one.partition("-")[0] for one in continued] == ["bytes=40000"]


def test_a_pin_holds_what_was_listed(s3, model, out, tmp_path):
    pin = tmp_path / "tiny.lock"
    assert model.fetch(URI, out, "--pin", pin).exit_code == 0
    s3.asked.clear()
    assert model.fetch(URI, out, "--pin", pin).exit_code == 0
    assert s3.asked == []
    again = out.with_name("again")
    assert model.fetch(URI, again, "--pin", pin).exit_code == 0
    s3.put("org/tiny/", {**model.sign(tmp_path / "v2", {"config.json": b"[]"})})
    done = model.fetch(URI, out.with_name("newer"), "--pin", pin)
    assert (done.exit_code, "[revision-changed]" in done.stderr) == (1, True), done.output
    s3.put("org/tiny/", model.files)
    assert json.loads(pin.read_text())["uri"] == URI


def test_one_object_and_its_signature(s3, model, out, tmp_path):
    write(tmp_path / "one", {"model.gguf": b"gguf" * 1000})
    assert invoke("sign", tmp_path / "one" / "model.gguf", "--key", model.private).exit_code == 0
    files = read(tmp_path / "one")
    s3.put("files/", files)
    pin = tmp_path / "one.lock"
    for _ in range(2):
        done = model.fetch("s3://models/files/model.gguf", out, "--pin", pin)
        assert done.exit_code == 0, done.output
        assert read(out) == files
    verdict = modelseal.verify("s3://models/files/model.gguf", key=str(model.key))
    assert verdict, verdict
    with modelseal.load("s3://models/files/model.gguf", key=str(model.key)) as copy:
        assert copy.read_bytes() == files["model.gguf"]
    s3.put("files/", {"model.gguf": b"other"})
    done = model.fetch("s3://models/files/model.gguf", out.with_name("two"))
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    s3.put("files/", {"alone.gguf": b"gguf"})
    done = model.fetch("s3://models/files/alone.gguf", out.with_name("three"))
    assert (done.exit_code, "[unsigned]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == ["tiny"]


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("s3://models/none", "no-such-revision"),
        ("s3://none/org/tiny", "no-such-revision"),
        ("s3://models", "bad-uri"),
        ("s3://models/", "bad-uri"),
        ("s3://models/a?b=c", "bad-uri"),
    ],
)
def test_uris_that_lead_nowhere(s3, model, out, uri, code):
    done = model.fetch(uri, out)
    assert (done.exit_code, f"[{code}]" in done.stderr) == (2, True), done.output
    assert left_beside(out) == []


def test_nothing_answers(s3, model, out, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    done = model.fetch(URI, out)
    assert (done.exit_code, "[transfer-failed]" in done.stderr) == (3, True), done.output
    assert "testing-secret" not in done.output
    assert left_beside(out) == []


def test_the_extra_is_named(model, out, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    monkeypatch.delitem(__import__("sys").modules, "modelseal.sources.bucket", raising=False)
    done = model.fetch(URI, out)
    assert (done.exit_code, "[extra-missing]" in done.stderr) == (2, True), done.output
    assert "pip install 'modelseal[buckets]'" in done.stderr


def signed(*arguments):
    return invoke("sign", *arguments)


def test_models_are_signed_where_they_are(s3, model, out, tmp_path):
    s3.put("new/tiny/", {**FILES, ".gitattributes": b"* -text"})
    done = signed("s3://models/new/tiny", "--key", model.private)
    assert done.exit_code == 0, done.output
    assert "bundle     s3://models/new/tiny/model.sig" in done.stdout
    gets = [path for method, path, _ in s3.asked if method == "GET"]
    assert gets.count("/models/new/tiny/weights/a.bin") == 1
    assert model.fetch("s3://models/new/tiny", out).exit_code == 0
    assert read(out) == {**FILES, "model.sig": s3.get("new/tiny/model.sig")}
    assert invoke("verify", out, "--key", model.key).exit_code == 0
    done = signed("s3://models/new/tiny", "--key", model.private)
    assert (done.exit_code, "[already-exists]" in done.stderr) == (2, True), done.output
    done = signed("s3://models/new/tiny", "--key", model.private, "--overwrite", "--format", "json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert output_schema.problem(document) is None
    assert document["signed"][0]["bundle"] == "s3://models/new/tiny/model.sig"


def test_one_object_is_signed_where_it_is(s3, model, out):
    s3.put("new/", {"one.gguf": b"gguf"})
    done = signed("s3://models/new/one.gguf", "--key", model.private)
    assert done.exit_code == 0, done.output
    done = model.fetch("s3://models/new/one.gguf", out)
    assert done.exit_code == 0, done.output
    assert sorted(read(out)) == ["one.gguf", "one.gguf.sigstore.json"]


@pytest.mark.parametrize("late", [False, True])
def test_what_changes_while_it_is_signed_is_noticed(s3, model, late):
    s3.put(f"moving-{late}/", FILES)

    def change(path):
        if path.endswith("b.bin" if late else "a.bin"):
            s3.before_get = None
            s3.put(f"moving-{late}/", {"weights/a.bin" if not late else "new": b"changed"})

    s3.before_get = change
    done = signed(f"s3://models/moving-{late}", "--key", model.private)
    code = "[changed-while-reading]" if late else "[source-mismatch]"
    assert (done.exit_code in {1, 3}, code in done.stderr) == (True, True), done.output
    with pytest.raises(Exception, match="NoSuchKey"):
        s3.get(f"moving-{late}/model.sig")


def test_what_cannot_be_signed_where_it_is(s3, model, tmp_path):
    for arguments in (
        ("hf://org/tiny",), (URI, tmp_path), (URI, "--add"), (URI, "--shard-size", "100"),
    ):  # fmt: skip
        done = signed(*arguments, "--key", model.private)
        assert (done.exit_code, "[bad-options]" in done.stderr) == (2, True), done.output


def test_a_folder_is_signed_whole(model):
    assert FILES.keys() < model.files.keys()
