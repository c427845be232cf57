# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from modelseal.errors import UsageError
from modelseal.instance.listening import Listening, checked, host_headers, is_local, origin

PEM = Path("x.pem")


@pytest.mark.parametrize(
    ("given", "published"),
    [
        ("https://sigstore.corp", "https://sigstore.corp"),
        ("https://Sigstore.Corp:443/", "https://sigstore.corp"),
        ("http://sigstore.corp:80", "http://sigstore.corp"),
        ("https://sigstore.corp:8443", "https://sigstore.corp:8443"),
        ("http://[::1]:8100", "http://[::1]:8100"),
    ],
)
def test_a_public_url_has_one_spelling(given, published):
    assert checked(Listening(public_url=given), asks_passwords=True).public_url == published


@pytest.mark.parametrize(
    "url",
    [
        "sigstore.corp", "ftp://sigstore.corp", "https://", "https://sigstore.corp/path",
        "https://sigstore.corp?q", "https://sigstore.corp#f", "https://me@sigstore.corp",
        "https://sigstore.corp:x", "https://sig store.corp", "https://sigstoré.corp", "https://[",
        "https://a\nb",
    ],
)  # fmt: skip
def test_what_is_no_public_url(url):
    with pytest.raises(UsageError) as caught:
        checked(Listening(public_url=url), asks_passwords=True)
    assert caught.value.code == "bad-url"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (Listening(host="0.0.0.0"), "bad-host"),
        (Listening(host="::"), "bad-host"),
        (Listening(host=""), "bad-host"),
        (Listening(host="no-such-name.invalid"), "bad-host"),
        (Listening(proxy="proxy.corp"), "bad-host"),
        (Listening(certificate=PEM), "bad-options"),
        (Listening(key=PEM), "bad-options"),
        (Listening(public_url="http://a.corp", certificate=PEM, key=PEM), "bad-url"),
    ],
)
def test_what_is_not_served_whoever_signs_in(asked, code):
    with pytest.raises(UsageError) as caught:
        checked(asked, asks_passwords=True)
    assert caught.value.code == code


def test_without_passwords_only_this_machine_is_served():
    everywhere = Listening(host="0.0.0.0", public_url="https://sigstore.corp")
    assert checked(everywhere, asks_passwords=True) == everywhere
    for asked in (everywhere, Listening(host="192.0.2.1")):
        with pytest.raises(UsageError) as caught:
            checked(asked, asks_passwords=False)
        assert caught.value.code == "open-sign-in"
    for host in ("127.0.0.1", "localhost", "127.3.2.1", "::1"):
        checked(Listening(host=host), asks_passwords=False)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1", True), ("http://[::1]:1", True), ("http://localhost", True),
        ("https://a.localhost", True), ("https://sigstore.corp", False),
        ("https://localhost.corp", False), ("http://192.0.2.1", False),
    ],
)  # fmt: skip
def test_what_only_this_machine_reaches(url, local):
    assert is_local(url) == local


def test_requests_may_name_the_public_host_or_this_machine():
    assert host_headers("https://sigstore.corp", 8100) == {
        "sigstore.corp", "sigstore.corp:443", "localhost:8100", "127.0.0.1:8100", "[::1]:8100",
    }  # fmt: skip
    assert "[fd00::1]:81" in host_headers("http://[fd00::1]:81", 81)
    assert "[fd00::1]" in host_headers(origin("http", "fd00::1", 80), 80)
    assert "127.0.0.1" in host_headers("http://127.0.0.1", 80)
