# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from patience import PATIENCE
from small_server import Said, serving

from modelseal.errors import UsageError
from modelseal.instance import upstream
from modelseal.instance.claims import KINDS
from modelseal.instance.refused import Refused

RSA_KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def jwk(key, key_id, **more):
    public = key.public_key()
    algorithm = jwt.algorithms.RSAAlgorithm if key is not EC_KEY else jwt.algorithms.ECAlgorithm
    return json.loads(algorithm.to_jwk(public)) | {"kid": key_id} | more


class Provider:
    """An OpenID provider that may be down, lie, or change its keys."""

    def __init__(self):
        self.keys = [jwk(RSA_KEY, "rsa"), jwk(EC_KEY, "ec")]
        self.issuer = self.broken = None
        self.asked = []
        self.slow = None

    def answer(self, asked):
        self.asked.append(asked.path)
        if self.slow is not None:
            self.slow.wait(PATIENCE)
        if self.broken is not None:
            return self.broken
        if asked.path == "/.well-known/openid-configuration":
            return Said(json.dumps({"issuer": self.issuer, "jwks_uri": self.jwks_uri}).encode())
        return Said(json.dumps({"keys": self.keys}).encode())


@pytest.fixture
def provider():
    provider = Provider()
    with serving(provider.answer) as url:
        provider.url = provider.issuer = url
        provider.jwks_uri = f"{url}/keys"
        yield provider


@pytest.fixture
def believed(provider, tmp_path):
    (tmp_path / "issuers.toml").write_text(f'[[issuer]]\nurl = "{provider.url}"\ntype = "email"\n')
    return upstream.read_issuers(tmp_path / "issuers.toml")


def token(provider, key=RSA_KEY, key_id="rsa", algorithm="RS256", **changed):
    now = int(time.time())
    claims = {
        "iss": provider.url, "aud": "sigstore", "sub": "4711", "iat": now, "exp": now + 600,
        "email": "alice@example.com", "email_verified": True,
    }  # fmt: skip
    headers = {} if key_id is None else {"kid": key_id}
    return jwt.encode(claims | changed, key, algorithm=algorithm, headers=headers)


def named(believed, text):
    return believed.of_token(text).named(text, time.time())


def refusal(believed, text):
    with pytest.raises(Refused) as caught:
        named(believed, text)
    return caught.value.status, caught.value.code


def test_a_token_of_an_issuer_that_is_believed(provider, believed):
    assert named(believed, token(provider)).identity.value == "alice@example.com"
    assert named(believed, token(provider, EC_KEY, "ec", "ES256")).issuer == provider.url
    assert len(provider.asked) == 2  # discovery and keys, once


def test_a_token_of_somebody_else_is_not_ours_to_judge(provider, believed):
    for issuer in ("https://other.example", f"{provider.url}/", ""):
        assert believed.of_token(token(provider, iss=issuer)) is None
    assert believed.of_token("no token") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"key": OTHER_KEY}, {"aud": "other"}, {"aud": ["other"]}, {"exp": None}, {"sub": None},
        {"key": EC_KEY, "algorithm": "ES256"}, {"exp": "soon"}, {"key_id": "unknown"},
        {"key_id": None},
    ],
)  # fmt: skip
def test_tokens_that_are_not_good(provider, believed, changed):
    assert refusal(believed, token(provider, **changed)) == (401, "bad-token")


@pytest.mark.parametrize("changed", [{"exp": 1}, {"iat": 4e9}, {"nbf": int(time.time()) + 3600}])
def test_tokens_of_another_time(provider, believed, changed):
    assert refusal(believed, token(provider, **changed))[0] == 401


def test_no_signature_and_no_shared_secret_is_taken(provider, believed):
    assert refusal(believed, token(provider, None, "rsa", "none"))[0] == 401
    provider.keys = [{"kty": "oct", "k": "c2VjcmV0" * 8, "kid": "oct"}]
    secret = b"secret" * 8
    assert refusal(believed, token(provider, secret, "oct", "HS256"))[0] == 401


def test_a_token_is_not_larger_than_tokens_are(provider, believed):
    with pytest.raises(Refused):
        believed.of_token(token(provider, more="x" * 20_000))


def test_new_keys_are_asked_for_but_not_by_every_stranger(provider, believed):
    clock = [0.0]
    issuer = believed.issuers[provider.url]
    issuer._keys._clock = lambda: clock[0]
    named(believed, token(provider))
    provider.keys = [jwk(OTHER_KEY, "new")]
    text = token(provider, OTHER_KEY, "new")
    for _ in range(20):
        assert refusal(believed, text) == (401, "bad-token")
    assert len(provider.asked) == 2
    clock[0] += upstream._AGAIN + 1
    assert named(believed, text).identity.value == "alice@example.com"
    assert refusal(believed, token(provider)) == (401, "bad-token")  # a key that was withdrawn


@pytest.mark.parametrize(
    "broken", [Said(b"", 500), Said(b"{"), Said(b"[]"), Said(b"x" * (1 << 21)), Said(b"", 302)]
)
def test_an_issuer_that_is_down_or_talks_nonsense(provider, believed, broken):
    provider.broken = broken
    assert refusal(believed, token(provider)) == (503, "issuer-unreachable")


def test_an_issuer_that_lies_about_who_it_is(provider, believed):
    provider.issuer = "https://other.example"
    assert refusal(believed, token(provider)) == (503, "issuer-unreachable")


def test_keys_are_not_read_without_tls_from_elsewhere(provider, believed):
    provider.jwks_uri = "http://192.0.2.1/keys"
    assert refusal(believed, token(provider)) == (503, "issuer-unreachable")


def test_while_it_is_down_its_keys_stay_good_for_a_day(provider, believed):
    clock = [0.0]
    believed.issuers[provider.url]._keys._clock = lambda: clock[0]
    named(believed, token(provider))
    provider.broken = Said(b"", 500)
    clock[0] = upstream._FRESH + 1
    named(believed, token(provider))
    clock[0] = upstream._STALE + upstream._FRESH + 2
    assert refusal(believed, token(provider)) == (503, "issuer-unreachable")
    provider.broken = None
    clock[0] += upstream._FRESH + 1
    named(believed, token(provider))


def test_nobody_waits_while_a_slow_issuer_is_asked(provider, believed):
    provider.slow = threading.Event()
    text = token(provider)
    first = threading.Thread(target=lambda: named(believed, text))
    first.start()
    keys = believed.issuers[provider.url]._keys
    while not keys._asking.locked():
        time.sleep(0.01)
    assert refusal(believed, text) == (503, "issuer-unreachable")
    provider.slow.set()
    first.join(PATIENCE)
    assert named(believed, text)


def test_keys_from_a_file_need_no_network(provider, tmp_path):
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk(RSA_KEY, "rsa")]}))
    (tmp_path / "issuers.toml").write_text(
        f'[[issuer]]\nurl = "{provider.url}"\ntype = "email"\nkeys = "jwks.json"\n'
        'client-id = "corp"\n'
    )
    believed = upstream.read_issuers(tmp_path / "issuers.toml")
    assert named(believed, token(provider, aud="corp")).identity.value == "alice@example.com"
    assert named(believed, token(provider, key_id=None, aud="corp"))
    assert refusal(believed, token(provider, key_id="new", aud="corp")) == (401, "bad-token")
    assert provider.asked == []


def test_the_file_of_the_docs_is_one(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "instance.md"
    text = page.read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "cluster-keys.json").write_text(json.dumps({"keys": [jwk(RSA_KEY, "a")]}))
    (tmp_path / "issuers.toml").write_text(text)
    believed = upstream.read_issuers(tmp_path / "issuers.toml")
    assert {one.kind for one in believed.issuers.values()} == set(KINDS)


GOOD = 'url = "https://i.example"\ntype = "email"\n'


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "\xff", "x = 1", f"x = 1\n[[issuer]]\n{GOOD}", "issuer = 5", "issuer = []",
        "[[issuer]]\n", f'[[issuer]]\n{GOOD}unknown = "x"', f"[[issuer]]\n{GOOD}server = 5",
        '[[issuer]]\nurl = "http://i.example"\ntype = "email"',
        '[[issuer]]\nurl = "https://i.example?x"\ntype = "email"',
        '[[issuer]]\nurl = "https://i.example"\ntype = "saml"',
        '[[issuer]]\nurl = "https://i.example"\ntype = "uri"',
        f'[[issuer]]\n{GOOD}subject-domain = "https://x"',
        '[[issuer]]\nurl = "https://i.example"\ntype = "uri"\nsubject-domain = "https://x/p"',
        f'[[issuer]]\n{GOOD}server = "http://github.corp"', f"[[issuer]]\n{GOOD}[[issuer]]\n{GOOD}",
        f'[[issuer]]\n{GOOD}keys = "none.json"', f'[[issuer]]\n{GOOD}keys = "issuers.toml"',
    ],
)  # fmt: skip
def test_what_is_no_issuers_file(tmp_path, text):
    (tmp_path / "issuers.toml").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError) as caught:
        upstream.read_issuers(tmp_path / "issuers.toml")
    assert caught.value.code in {"issuers-file", "not-found"}
    assert caught.value.hint
