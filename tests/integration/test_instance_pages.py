# SPDX-License-Identifier: Apache-2.0
"""The pages of an instance: what they say, what they allow, and how a browser shows them."""

from __future__ import annotations

import html
import re
import shlex
import shutil
import subprocess
import zlib
from base64 import b64encode
from hashlib import sha256

import pytest
from cryptography import x509
from patience import PATIENCE
from private_ca import Kind, chain, leaf

ALICE = "alice@example.com"
HOSTILE = "https://ci.example.com/'$(touch$IFS'owned');a&b"
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def used(tmp_path_factory, start_instance):
    with start_instance(tmp_path_factory.mktemp("used")) as instance:
        yield instance


@pytest.fixture
def client(used, raw_client):
    return raw_client(used.url)


@pytest.fixture
def signed(used, client, p256):
    """Return a function that signs and gives the log entry."""

    def sign(identity=ALICE, certificate=None):
        if certificate is None:
            certificate = client.certificate(used.token(identity), p256, identity)[0]
        return client.ask("/api/v2/log/entries", client.entry(p256, certificate)).json

    return sign


def page(client, path, status=200):
    answer = client.ask(path, headers=BROWSER)
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    text = answer.body.decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert b64encode(sha256(style.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in text.lower()
    assert not re.search(r'\son[a-z]+=|style="|javascript:', text)
    return text


def test_the_start_page_says_how_to_trust_it(used, client, signed):
    entry = signed()
    text = page(client, "/")
    root = sha256(client.ask("/root.json").body).hexdigest()
    assert f"modelseal trust add {used.url} --fingerprint sha256:{root}" in text
    assert "Ready to sign" in text
    assert "without a password" in text
    assert f'<a href="/entries/{entry["logIndex"]}">' in text
    assert ALICE in text
    assert "does not prove" in text


def test_programs_get_json_at_the_same_address(used, client):
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        answer = client.ask("/", headers=headers)
        assert answer.json["url"] == used.url
        assert answer.headers["vary"] == "Accept"


def test_the_page_of_an_entry(client, signed):
    entry = signed()
    text = page(client, f"/entries/{entry['logIndex']}")
    assert f"Signed by <b>{ALICE}</b>" in text
    assert text.count("Yes.") == 2
    assert "No." not in text
    assert "does not prove" in text
    assert '"kind":"hashedrekord"' in html.unescape(text)


def test_the_first_entry_names_the_log(client):
    assert "nobody signed" in page(client, "/entries/0")


def test_a_certificate_of_another_ca_names_nobody(client, signed, p256):
    """Anybody can make a certificate for alice, and log a signature with it."""
    name = x509.SubjectAlternativeName([x509.RFC822Name(ALICE)])
    before = client.ask(f"/search?q={ALICE}", headers=BROWSER).body.decode().count("<li>")
    for kind in (leaf(extension=name, curve=p256.curve), leaf(name="<b>x</b>", curve=p256.curve)):
        holder, _ = chain(Kind("root"), kind)
        answer = client.ask("/api/v2/log/entries", client.entry(holder.key, holder.certificate))
        assert answer.status == 201, answer
        text = page(client, f"/entries/{answer.json['logIndex']}")
        assert "another CA" in text
        assert "did not issue" in text
        assert ALICE not in text.partition("<details>")[0]
        assert "<b>x</b>" not in text
    assert page(client, f"/search?q={ALICE}").count("<li>") == before


def test_search_by_identity_digest_and_index(client, signed):
    entry = signed(identity="search@example.com")
    index = entry["logIndex"]
    link = f'<a href="/entries/{index}">'
    found = page(client, "/search?q=search%40example.com")
    assert link in found
    digest = re.search(r"<code>([0-9a-f]{64})</code>", found)[1]
    for query in (digest, f"sha256:{digest}", digest.upper()):
        assert link in page(client, f"/search?q={query}")
    for query in ("*", "search@example.*", "[s]earch@example.com", "nobody@example.com", ""):
        assert link not in page(client, f"/search?q={query}")
    redirect = client.ask(f"/search?q=%23{index}", headers=BROWSER)
    assert (redirect.status, redirect.headers["location"]) == (303, f"/entries/{index}")


def test_many_entries_come_in_pages(client, signed):
    entries = [signed(identity="many@example.com") for _ in range(3)]
    last = entries[-1]["logIndex"]
    text = page(client, f"/search?q=many%40example.com&before={last}")
    assert f'"/entries/{last}"' not in text
    assert f'"/entries/{entries[0]["logIndex"]}"' in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/entries/999999", 404), ("/entries/x", 404), ("/entries/-1", 404), ("/nothing", 404),
        ("/entries/00", 404), (f"/search?q={'a' * 600}", 400), ("/search?q=a&before=x", 400),
        ("/auth", 400), ("/tile/0/999", 404),
    ],
)  # fmt: skip
def test_errors_are_pages_for_browsers_and_json_for_programs(client, path, status):
    assert 'role="alert"' in page(client, path, status)
    answer = client.ask(path)
    assert answer.status == status
    assert answer.json["message"]


def test_what_others_chose_is_text_and_not_a_command(client, signed):
    entry = signed(identity=HOSTILE)
    text = page(client, f"/entries/{entry['logIndex']}")
    assert HOSTILE not in text
    (command,) = re.findall(r"<pre>(modelseal verify .*?)</pre>", text)
    words = shlex.split(html.unescape(command))
    assert words[words.index("--identity") + 1] == HOSTILE
    echoed = page(client, "/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "&lt;script&gt;" in echoed


# -- a real browser ------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCHEMES = {"light": ("1", (255, 255, 255)), "dark": ("0", (13, 17, 23))}


def chromium(folder, *arguments):
    return subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}",
            *arguments,
        ],
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip


def first_pixel(png):
    """Return the red, green and blue of the pixel at the top left of an 8-bit PNG file."""
    at, compressed = 8, b""
    while at < len(png):
        length, kind = int.from_bytes(png[at : at + 4]), png[at + 4 : at + 8]
        if kind == b"IDAT":
            compressed += png[at + 8 : at + 8 + length]
        at += length + 12
    return tuple(zlib.decompress(compressed)[1:4])  # every filter leaves the first one as it is


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_browser_shows_them_in_light_and_dark(used, client, signed, tmp_path, scheme):
    entry = signed()
    setting, background = SCHEMES[scheme]
    for number, path in enumerate(("/", f"/entries/{entry['logIndex']}", f"/search?q={ALICE}")):
        picture = tmp_path / f"{number}.png"
        done = chromium(
            tmp_path, f"--blink-settings=preferredColorScheme={setting}", "--hide-scrollbars",
            f"--screenshot={picture}", "--window-size=390,844", used.url + path,
        )  # fmt: skip
        assert first_pixel(picture.read_bytes()) == background
        assert "Content Security Policy" not in done.stderr
    dom = chromium(tmp_path, "--dump-dom", used.url + path).stdout
    assert f"<b>{ALICE}</b>" in dom
