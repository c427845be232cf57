# SPDX-License-Identifier: Apache-2.0
"""The sign-in page over HTTP, with and without passwords, to a browser and out of band."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

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
        [MODELSEAL, "instance", "hash-password", "alice@example.com"],
        input="secret\nsecret\n", capture_output=True, text=True, timeout=60, check=True,
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
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "users-file" in refused.stderr
    assert "secret" not in refused.stderr
