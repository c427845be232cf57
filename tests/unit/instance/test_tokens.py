# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from modelseal.errors import UsageError
from modelseal.instance import tokens
from modelseal.instance.refused import Refused

KEY = rsa.generate_private_key(65537, 2048)
ISSUER = "http://127.0.0.1:8100"
NOW = 1_800_000_000.5


def mint(identity="alice@example.com", audience=tokens.CLIENT, key=KEY, issuer=ISSUER):
    who = tokens.parse_identity(identity)
    return tokens.mint(key, issuer, who, audience=audience, now=NOW)


@pytest.mark.parametrize(
    "identity",
    [
        "alice@example.com", "a.b+c@x", "https://ci.example.com/release?ref=main#1",
        "spiffe://prod/ns/trainer", "urn:example:robot",
    ],
)  # fmt: skip
def test_what_is_minted_is_accepted(identity):
    who = tokens.check(mint(identity), KEY, ISSUER, now=NOW + 3599)
    assert who == tokens.parse_identity(identity)


@pytest.mark.parametrize(
    "text",
    [
        "", "alice", "alice@", "@example.com", "a b@example.com", "alice@example.com\n",
        "alice@example.com, bob@example.com", "älice@example.com", "http://", "javascript:alert(1)",
        "https://[", "https://example.com/\x00", "https://example.com/ a", "a@" + "b" * 300,
    ],
)  # fmt: skip
def test_what_is_no_identity(text):
    with pytest.raises(UsageError) as error:
        tokens.parse_identity(text)
    assert error.value.code == "bad-identity"


def test_stock_clients_find_their_claims():
    claims = jwt.decode(mint(), options={"verify_signature": False})
    assert claims["sub"] == claims["email"] == "alice@example.com"
    assert claims["email_verified"] is True
    assert claims["exp"] - claims["iat"] == tokens.LIFETIME
    uri = jwt.decode(mint("https://ci.example.com"), options={"verify_signature": False})
    assert uri["sub"] == "https://ci.example.com"
    assert "email" not in uri


@pytest.mark.parametrize(
    "make",
    [
        lambda: mint(audience="other"),
        lambda: mint(issuer="http://127.0.0.1:8101"),
        lambda: mint(key=rsa.generate_private_key(65537, 2048)),
        lambda: "",
        lambda: "a.b.c",
    ],
)
def test_tokens_of_others(make):
    with pytest.raises(Refused) as error:
        tokens.check(make(), KEY, ISSUER, now=NOW)
    assert (error.value.status, error.value.code) == (401, "bad-token")


@pytest.mark.parametrize("moment", [NOW + 3600, NOW - 10, 0])
def test_tokens_of_other_times(moment):
    with pytest.raises(Refused) as error:
        tokens.check(mint(), KEY, ISSUER, now=moment)
    assert error.value.code == "token-expired"


def test_a_token_with_our_signature_but_no_identity():
    claims = {"iss": ISSUER, "aud": tokens.CLIENT, "iat": int(NOW), "exp": int(NOW) + 60}
    for subject in ("", "nobody", 5, None):
        token = jwt.encode(claims | {"sub": subject}, KEY, algorithm="RS256")
        with pytest.raises(Refused):
            tokens.check(token, KEY, ISSUER, now=NOW)


def test_the_key_set_verifies_the_token():
    (key,) = jwt.PyJWKSet.from_dict(tokens.key_set(KEY)).keys
    assert jwt.get_unverified_header(mint())["kid"] == key.key_id
    options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    jwt.decode(mint(), key, algorithms=["RS256"], audience=tokens.CLIENT, options=options)
