# SPDX-License-Identifier: Apache-2.0
"""The sign-in page over HTTP, with and without passwords, to a browser and out of band."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import threading
import urllib.request
from base64 import b64encode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from patience import PATIENCE

from modelseal.instance.users import format_user

MODELSEAL = str(Path(sys.executable).with_name("modelseal"))
FORM = "application/x-www-form-urlencoded"
VERIFIER = "v" * 60
QUERY = {
    "response_type": "code",
    "client_id": "sigstore",
    "redirect_uri": "http://localhost:9999/auth/callback",
    "scope": "openid email",
    "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    "code_challenge_method": "S256",
    "state": "the <state>",
}


@pytest.fixture
def client(instance, raw_client):
    return raw_client(instance.url)


def hidden_fields(page):
    found = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.body.decode())
    return {name: unescape(value) for name, value in found}


def sign_in(client, query=QUERY, **fields):
    page = client.ask(f"/auth?{urlencode(query)}")
    assert page.status == 200
    body = urlencode(hidden_fields(page) | fields).encode()
    return client.ask("/auth", body, kind=FORM)


def redeem(client, code, redirect_uri=QUERY["redirect_uri"], headers=None, **fields):
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": VERIFIER,
    } | fields
    return client.ask("/token", urlencode(form).encode(), kind=FORM, headers=headers)


def test_a_browser_is_sent_back_with_a_code(instance, client):
    answer = sign_in(client, identity="alice@example.com")
    assert answer.status == 303
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == QUERY["redirect_uri"]
    sent = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert sent["state"] == QUERY["state"]
    token = redeem(client, sent["code"], client_id="sigstore")
    assert token.status == 200
    assert token.headers["cache-control"] == "no-store"
    (key,) = jwt.PyJWKSet.from_dict(client.ask("/keys").json).keys
    claims = jwt.decode(
        token.json["id_token"], key, algorithms=["RS256"], audience="sigstore",
        issuer=instance.issuer,
    )  # fmt: skip
    assert claims["email"] == "alice@example.com"
    again = redeem(client, sent["code"], client_id="sigstore")
    assert (again.status, again.json["error"]) == (400, "invalid_grant")


def test_out_of_band_the_code_is_shown(client):
    query = QUERY | {"redirect_uri": "urn:ietf:wg:oauth:2.0:oob"}
    answer = sign_in(client, query, identity="https://ci.example.com/release")
    assert answer.status == 200
    code = re.search(r"<code>([^<]+)</code>", answer.body.decode())[1]
    basic = {"Authorization": "Basic " + b64encode(b"sigstore:").decode()}
    token = redeem(client, code, query["redirect_uri"], basic)
    claims = jwt.decode(token.json["access_token"], options={"verify_signature": False})
    assert claims["sub"] == "https://ci.example.com/release"


def test_a_typing_error_asks_again(client):
    answer = sign_in(client, identity="<alice>")
    assert answer.status == 400
    assert "&lt;alice&gt;" in answer.body.decode()
    assert hidden_fields(answer)["state"] == QUERY["state"]


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({}, None), ({"client_id": "other"}, None), ({}, {"Authorization": "Basic !"}),
        ({}, {"Authorization": "Basic " + b64encode(b"\xff:").decode()}),
        ({}, {"Authorization": "Bearer x"}),
    ],
)  # fmt: skip
def test_other_clients_get_no_token(client, fields, headers):
    answer = redeem(client, "code", headers=headers, **fields)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("body", [b"a=1&a=2", b"\xff", b"a=%ff", b"&".join([b"a=1"] * 60)])
@pytest.mark.parametrize("path", ["/token", "/auth"])
def test_forms_that_cannot_be_read(client, path, body):
    answer = client.ask(path, body, kind=FORM)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


def test_a_bad_request_is_told_to_nobody_else(client):
    bad = QUERY | {"redirect_uri": "http://evil.example:80/"}
    for answer in (
        client.ask(f"/auth?{urlencode(bad)}"),
        client.ask("/auth", urlencode(bad | {"identity": "alice@example.com"}).encode(), kind=FORM),
    ):
        assert answer.status == 400
        assert "location" not in answer.headers


def test_with_users_the_page_asks_for_the_password(start_instance, raw_client, tmp_path):
    line = subprocess.run(
        [MODELSEAL, "instance", "hash-password", "--password-stdin", "alice@example.com"],
        input="secret\n", capture_output=True, text=True, timeout=PATIENCE, check=True,
    ).stdout  # fmt: skip
    users = tmp_path / "users"
    users.write_text(line)
    with start_instance(tmp_path, "--users", str(users)) as instance:
        client = raw_client(instance.url)
        for fields in (
            {}, {"password": ""}, {"password": "wrong"}, {"identity": "bob@example.com"},
        ):  # fmt: skip
            answer = sign_in(client, **({"identity": "alice@example.com"} | fields))
            assert answer.status == 401
            assert "location" not in answer.headers
        answer = sign_in(client, identity="alice@example.com", password="secret")
        assert answer.status == 303
    assert "secret" not in (tmp_path / "instance.log").read_text()


def test_a_bad_users_file_starts_nothing(tmp_path):
    users = tmp_path / "users"
    users.write_text("alice@example.com:secret\n")
    refused = subprocess.run(
        [MODELSEAL, "instance", "up", "--data", tmp_path / "data", "--users", users],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "users-file" in refused.stderr
    assert "secret" not in refused.stderr


# -- wrong passwords -----------------------------------------------------------------------------

ALICE, BOB = "alice@example.com", "bob@example.com"


@pytest.fixture(scope="module")
def guarded(start_instance, tmp_path_factory):
    """An instance in which Alice, Bob and Carol have passwords."""
    folder = tmp_path_factory.mktemp("guarded")
    names = (ALICE, BOB, "carol@example.com")
    lines = [format_user(name, f"sesame of {name}") for name in names]
    (folder / "users").write_text("\n".join(lines))
    with start_instance(folder, "--users", str(folder / "users")) as instance:
        yield instance


def attempt(instance, identity, password=None, *, address="127.0.0.1"):
    """Sign in from a loopback address; return the status and how long to wait, if so told."""
    form = QUERY | {"identity": identity, "password": password or f"sesame of {identity}"}
    connection = http.client.HTTPConnection(
        instance.url.partition("//")[2], source_address=(address, 0), timeout=PATIENCE
    )
    with closing(connection):
        connection.request("POST", "/auth", urlencode(form), {"Content-Type": FORM})
        answer = connection.getresponse()
        assert b"sesame of" not in answer.read()
        return answer.status, answer.headers["Retry-After"]


def guess_until_refused(instance, identity, address):
    """Return the answers to wrong passwords up to the first that was not looked at."""
    answers = []
    while not answers or answers[-1][0] == 401:
        assert len(answers) < 100
        answers.append(attempt(instance, identity, "wrong", address=address))
    return answers


def test_wrong_passwords_for_one_identity_keep_nobody_else_out(guarded):
    answers = guess_until_refused(guarded, ALICE, "127.0.0.2")
    assert len(answers) > 10
    status, seconds = answers[-1]
    assert (status, int(seconds) > 0) == (429, True)
    assert attempt(guarded, ALICE, address="127.0.0.2")[0] == 429, "not even the right one"
    assert attempt(guarded, BOB, address="127.0.0.2") == (303, None)


def test_an_identity_without_password_is_answered_like_one_with(guarded):
    answers = guess_until_refused(guarded, "nobody@example.com", "127.0.0.3")
    assert len(answers) > 10
    assert answers[-1][0] == 429


def test_wrong_passwords_from_one_address_keep_no_other_address_out(guarded):
    statuses = [
        attempt(guarded, f"user-{number}@example.com", "wrong", address="127.0.0.4")[0]
        for number in range(200)
    ]
    assert set(statuses) == {401, 429}
    assert attempt(guarded, BOB, address="127.0.0.5") == (303, None)


def test_whoever_signed_in_there_before_is_not_kept_out_by_guesses_from_elsewhere(guarded):
    carol = "carol@example.com"
    assert attempt(guarded, carol, address="127.0.0.6") == (303, None)
    assert guess_until_refused(guarded, carol, "127.0.0.7")[-1][0] == 429
    assert attempt(guarded, carol, address="127.0.0.6") == (303, None)


def test_guesses_at_once_are_limited_and_keep_nobody_out(guarded):
    """All the time while others guess, signing in and the other services are answered."""
    done = threading.Event()
    guessed = []

    def guess(number):
        while not done.is_set():
            identity = ALICE if number % 2 else f"user-{number}@example.com"
            guessed.append(attempt(guarded, identity, "wrong", address="127.0.0.8")[0])

    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(guess, number) for number in range(16)]
        try:
            for _ in range(5):
                assert attempt(guarded, BOB, address="127.0.0.9") == (303, None)
                with urllib.request.urlopen(
                    f"{guarded.url}/checkpoint", timeout=PATIENCE
                ) as answer:
                    assert answer.status == 200
        finally:
            done.set()
        for one in running:
            one.result()
    assert set(guessed) <= {401, 429}
    assert guessed.count(401) < 200
