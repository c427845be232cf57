# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import replace
from hashlib import sha256

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from modelseal.instance import pages, tokens, users
from modelseal.instance.oidc import OUT_OF_BAND, SignIn
from modelseal.instance.refused import Refused

KEY = rsa.generate_private_key(65537, 2048)
ISSUER = "http://127.0.0.1:8100"
VERIFIER = "v" * 43
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
QUERY = {
    "response_type": "code",
    "client_id": "sigstore",
    "redirect_uri": "http://localhost:9999/auth/callback",
    "scope": "openid email",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "the state",
    "nonce": "the nonce",
}
NOW = 1_800_000_000.0


@pytest.fixture
def sign_in():
    return SignIn(KEY, ISSUER, users=None)


def form(granted, **changes):
    return {
        "grant_type": "authorization_code",
        "code": granted,
        "redirect_uri": QUERY["redirect_uri"],
        "code_verifier": VERIFIER,
    } | changes


def code_of(sign_in, query=QUERY, *, identity="alice@example.com", password="", now=NOW):
    asked = sign_in.authorize(query)
    return sign_in.grant(asked, identity, password, address="127.0.0.1", now=now)


def test_a_code_is_a_token_once(sign_in):
    code = code_of(sign_in)
    answer = sign_in.exchange(form(code), "sigstore", NOW + 119)
    assert answer["access_token"] == answer["id_token"]
    claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
    assert claims["nonce"] == "the nonce"
    assert claims["sub"] == "alice@example.com"
    assert tokens.check(answer["id_token"], KEY, ISSUER, now=NOW + 119).value == claims["sub"]
    with pytest.raises(Refused):
        sign_in.exchange(form(code), "sigstore", NOW + 119)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "other"}, "invalid_grant"),
        ({"code": "\udcff"}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:9998/auth/callback"}, "invalid_grant"),
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": "é" * 43}, "invalid_grant"),
    ],
)
def test_codes_are_bound_to_their_request(sign_in, changes, code):
    granted = code_of(sign_in)
    with pytest.raises(Refused) as error:
        sign_in.exchange(form(granted, **changes), "sigstore", NOW)
    assert error.value.code == code


def test_codes_are_bound_to_the_client_and_to_time(sign_in):
    with pytest.raises(Refused):
        sign_in.exchange(form(code_of(sign_in)), "other", NOW)
    with pytest.raises(Refused):
        sign_in.exchange(form(code_of(sign_in)), "sigstore", NOW + 120)


def test_a_wrong_guess_uses_the_code_up(sign_in):
    code = code_of(sign_in)
    with pytest.raises(Refused):
        sign_in.exchange(form(code, code_verifier="w" * 43), "sigstore", NOW)
    with pytest.raises(Refused):
        sign_in.exchange(form(code), "sigstore", NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "token"}, {"client_id": "other"}, {"code_challenge_method": "plain"},
        {"code_challenge": "short"}, {"code_challenge": ""}, {"state": "s" * 513},
        *({"redirect_uri": uri} for uri in (
            "", "https://localhost:9999/", "http://example.com:80/", "http://localhost/cb",
            "http://localhost.example.com:80/", "http://localhost:80@example.com:80/",
            "http://localhost:9999/?a=b", "http://localhost:9999/#a", "http://localhost:9999/ a",
            "http://localhost:9999/\r\nX: y", "http://localhost:x/", "http://[::1/", "javascript:1",
            "http://localhost:9999;script-src/", "//localhost:9999/", "http://127.0.0.2:1/",
        )),
    ],
)  # fmt: skip
def test_requests_that_are_not_served(sign_in, changes):
    with pytest.raises(Refused) as error:
        sign_in.authorize(QUERY | changes)
    assert (error.value.status, error.value.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "missing", ["response_type", "client_id", "redirect_uri", "code_challenge"]
)
def test_fields_that_must_be_there(sign_in, missing):
    with pytest.raises(Refused):
        sign_in.authorize({name: value for name, value in QUERY.items() if name != missing})


def test_where_the_code_goes(sign_in):
    asked = sign_in.authorize(QUERY | {"state": "a&b=c"})
    assert asked.answer("x/y") == "http://localhost:9999/auth/callback?code=x%2Fy&state=a%26b%3Dc"
    assert sign_in.authorize(QUERY | {"redirect_uri": OUT_OF_BAND}).answer("x") is None
    assert sign_in.authorize(QUERY | {"redirect_uri": "http://[::1]:80/"}).answer("x")


def test_codes_that_wait_are_bounded_and_keep_nobody_out(sign_in):
    bob = code_of(sign_in, identity="bob@example.com")
    codes = [code_of(sign_in) for _ in range(1001)]
    assert len(sign_in._grants) == 11
    with pytest.raises(Refused, match="unknown, used or expired"):
        sign_in.exchange(form(codes[-11]), "sigstore", NOW)
    for code in (bob, codes[-10], codes[-1]):
        assert sign_in.exchange(form(code), "sigstore", NOW)
    for number in range(1001):
        last = code_of(sign_in, identity=f"user-{number}@example.com")
    assert len(sign_in._grants) == 1000
    assert sign_in.exchange(form(last), "sigstore", NOW)
    code_of(sign_in, now=NOW + 121)
    assert len(sign_in._grants) == 1


def test_passwords_are_asked_for(tmp_path):
    path = tmp_path / "users"
    path.write_text(users.format_user("alice@example.com", "right"))
    sign_in = SignIn(KEY, ISSUER, users.read_users(path))
    with pytest.raises(Refused) as error:
        code_of(sign_in, password="wrong")
    assert error.value.status == 401
    assert code_of(sign_in, identity=" alice@example.com ", password="right")
    with pytest.raises(Refused):
        code_of(sign_in, identity="not an identity", password="right")


def test_the_page_escapes_and_says_what_it_is_for(sign_in):
    asked = sign_in.authorize(QUERY | {"state": '"><script>alert(1)</script>'})
    page = pages.sign_in_page(
        asked, ask_password=False, encrypted=False, identity='"><img src=x>', complaint="<b>no</b>"
    )
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "trusted network" in page
    with_password = pages.sign_in_page(asked, ask_password=True, encrypted=False)
    assert "password" in with_password
    assert "without TLS" in with_password
    assert "without TLS" not in pages.sign_in_page(asked, ask_password=True, encrypted=True)
    assert "<i>" not in pages.code_page("<i>")


def test_the_page_lets_nothing_out_but_the_code(sign_in):
    asked = sign_in.authorize(QUERY)
    policy = pages.headers(asked)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://localhost:9999;" in policy
    out_of_band = replace(asked, redirect_uri=OUT_OF_BAND)
    assert "form-action 'self';" in pages.headers(out_of_band)["Content-Security-Policy"]


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example[::1]:80/",
        "http://[::1].evil.example:80/",
        "http://[::1]evil:80",
        "http://me@localhost:80/",
        "http://localhost:80@evil.example/",
        "http://localhost/",
        "http://localhost.:80/",
        "http://localhost:80/?a=b",
        "http://localhost:80/#",
    ],
)
def test_redirect_that_only_looks_like_this_machine(sign_in, uri):
    with pytest.raises(Refused):
        sign_in.authorize({**QUERY, "redirect_uri": uri})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_redirect_to_this_machine(sign_in, host):
    uri = f"http://{host}:4711/auth/callback"
    assert sign_in.authorize({**QUERY, "redirect_uri": uri}).redirect_uri == uri
