# SPDX-License-Identifier: Apache-2.0
"""`https://`: one file and its signature, by the real requests from a real TLS server."""

from __future__ import annotations

from base64 import b64encode

import pytest
from fetching import left_beside, read, signed_model, write
from https_site import serving
from in_process import invoke


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    write(folder, {"my model.gguf": b"gguf" * 20_000})
    assert invoke("sign", folder / "my model.gguf", "--key", model.private).exit_code == 0
    return {name.replace(" ", "%20"): data for name, data in read(folder).items()}


@pytest.fixture
def site(files, tmp_path, monkeypatch):
    (tmp_path / "tls").mkdir()
    with serving(tmp_path / "tls", files) as running:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
        yield running


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "one"


NAME = "my%20model.gguf"


def test_a_file_and_its_signature(site, model, files, out, tmp_path):
    pin = tmp_path / "one.lock"
    done = model.fetch(f"{site.url}/{NAME}", out, "--pin", pin)
    assert done.exit_code == 0, done.output
    assert read(out) == {name.replace("%20", " "): data for name, data in files.items()}
    assert left_beside(out) == ["one"]
    site.asked.clear()
    assert model.fetch(f"{site.url}/{NAME}", out, "--pin", pin).exit_code == 0
    assert site.asked == []
    site.files[NAME] = b"other"
    done = model.fetch(f"{site.url}/{NAME}", out.with_name("two"), "--pin", pin)
    assert (done.exit_code, "[revision-changed]" in done.stderr) == (1, True), done.output


@pytest.mark.parametrize("ranges", [True, False])
def test_a_transfer_that_stops_is_continued(site, model, out, ranges):
    site.ranges = ranges
    site.cut[NAME] = 70_000
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert (done.exit_code, "[transfer-failed]" in done.stderr) == (3, True), done.output
    assert left_beside(out) == [".one.fetch"]
    site.asked.clear()
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert done.exit_code == 0, done.output
    assert ("GET", NAME, "bytes=65536-") in site.asked
    assert read(out)["my model.gguf"] == site.files[NAME]


def test_what_changes_meanwhile_is_noticed(site, model, out):
    site.cut[NAME] = 70_000
    assert model.fetch(f"{site.url}/{NAME}", out).exit_code == 3
    site.files[NAME] = b"x" * len(site.files[NAME])
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    assert left_beside(out) == []


def test_credentials_are_those_of_netrc(site, model, out, tmp_path, monkeypatch):
    site.login = "Basic " + b64encode(b"alice:secret-word").decode()
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert (done.exit_code, "[access-denied]" in done.stderr) == (3, True), done.output
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login alice password secret-word\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert done.exit_code == 0, done.output
    assert "secret-word" not in done.output


def test_what_leads_nowhere(site, model, out, monkeypatch):
    for uri, code, exit_code in (
        (f"{site.url}/none.gguf", "no-such-revision", 2),
        (f"{site.url}/{NAME}?token=secret-word", "bad-uri", 2),
        (f"{site.url}/", "bad-uri", 2),
        (
            f"{site.url.replace('https://', 'https://alice:secret-word@')}/a",
            "credentials-in-uri",
            2,
        ),
        (f"{site.url.replace('https', 'http')}/{NAME}", "unknown-scheme", 2),
        ("https://127.0.0.1:9/a", "transfer-failed", 3),
    ):
        done = model.fetch(uri, out)
        assert (done.exit_code, f"[{code}]" in done.stderr) == (exit_code, True), done.output
    site.redirect = "http://127.0.0.1:9/elsewhere"
    assert "[transfer-failed]" in model.fetch(f"{site.url}/{NAME}", out).stderr
    site.redirect = None
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    done = model.fetch(f"{site.url}/{NAME}", out)
    assert (done.exit_code, "certificate is not trusted" in done.stderr) == (3, True), done.output
    assert left_beside(out) == []
