# SPDX-License-Identifier: Apache-2.0
"""Where an identity comes from without being asked for: each way signs, with a real instance.

The identity of a test says by which way it came; what no test can have here, Google's hardware and
the programs of CI systems, is a file and programs of our own that say what those say.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from id._internal.oidc import ambient
from in_process import answers, invoke
from small_server import Said, serving

from modelseal.instance import state
from modelseal.signing._sigstore import signing

NONE = dict.fromkeys((
    "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "CIRCLECI", "GOOGLE_SERVICE_ACCOUNT_NAME",
    "SIGSTORE_ID_TOKEN", "MODELSEAL_IDENTITY_TOKEN",
))  # fmt: skip


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Let the machine that runs the tests offer nothing."""
    monkeypatch.setattr(signing, "TOKEN_FILE", tmp_path / "run" / "oidc-token")
    monkeypatch.setattr(ambient, "_GCP_PRODUCT_NAME_FILE", str(tmp_path / "product_name"))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.joblib"
    path.write_text("weights")
    return path


@pytest.fixture(scope="module")
def token(instance):
    """Give the token of an identity, made once."""
    made = {}
    return lambda who: made.get(who) or made.setdefault(who, instance.token(who))


@pytest.fixture
def signed_by(instance, file):
    """Give a function that signs and returns whose identity the certificate has."""

    def sign(*options, **env):
        done = invoke(
            "sign", file, "--trust-config", instance.trust_config, "--overwrite", *options,
            "--format", "json", env=NONE | {"BROWSER": "/bin/false"} | env,
        )  # fmt: skip
        assert "Traceback" not in done.output
        (said,) = answers(done.stdout)
        return said["signer"]["identity"] if done.exit_code == 0 else said["code"]

    return sign


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Give a function that puts a program on PATH: it prints `text` if its arguments are right."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def make(name, text, *expected):
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"sys.exit('wrong arguments') if sys.argv[1:] != {list(expected)!r} else None\n"
            f"print({text!r})\n"
        )
        path.chmod(0o700)

    return make


def github(token, seen):
    def answer(asked):
        url = urlsplit(asked.path)
        seen.append((asked.method, url.path, parse_qs(url.query), asked.headers["authorization"]))
        return Said(json.dumps({"value": token}).encode())

    return serving(answer)


def test_github(signed_by, token):
    seen = []
    with github(token("github@example.com"), seen) as url:
        env = {
            "GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the job",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{url}/token?api-version=2.0",
        }  # fmt: skip
        assert signed_by(**env) == "github@example.com"
    query = {"api-version": ["2.0"], "audience": ["sigstore"]}
    assert seen == [("GET", "/token", query, "bearer of the job")]


@pytest.mark.parametrize(
    "said",
    [Said(b"no", 403), Said(b"{}"), Said(b"<html>"), Said(b'{"value": 7}'),
     Said(b'{"value": "no.token.this"}')],
)  # fmt: skip
def test_github_without_the_permission_or_with_an_answer_that_is_none(said, signed_by):
    assert signed_by(GITHUB_ACTIONS="true") == "ambient-identity"
    with serving(lambda _: said) as url:
        env = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t", "ACTIONS_ID_TOKEN_REQUEST_URL": url}
        assert signed_by(GITHUB_ACTIONS="true", **env) == "ambient-identity"
    assert signed_by(GITHUB_ACTIONS="true", **env) == "ambient-identity"  # nobody listens any more


def test_gitlab_and_whoever_else_sets_the_variable(signed_by, token):
    given = {"SIGSTORE_ID_TOKEN": token("variable@example.com")}
    assert signed_by(GITLAB_CI="true", **given) == "variable@example.com"
    assert signed_by(**given) == "variable@example.com"
    assert signed_by(GITLAB_CI="true") == "ambient-identity"
    assert signed_by(GITLAB_CI="true", SIGSTORE_ID_TOKEN="a.b.c") == "token-malformed"


def test_google(signed_by, token, tmp_path, monkeypatch):
    seen = []

    def metadata(asked):
        seen.append((asked.method, asked.path, asked.headers.get("metadata-flavor")))
        return Said(token("google@example.com").encode(), kind="text/html")

    (tmp_path / "product_name").write_text("Google Compute Engine\n")
    with serving(metadata) as url:
        monkeypatch.setattr(ambient, "_GCP_IDENTITY_REQUEST_URL", f"{url}/identity")
        assert signed_by() == "google@example.com"
    assert seen == [("GET", "/identity?audience=sigstore&format=full", "Google")]
    assert signed_by() == "ambient-identity"


def test_google_in_the_name_of_another_account(signed_by, token, monkeypatch):
    def answer(asked):
        if asked.path.startswith("/token"):
            return Said(b'{"access_token": "of the machine"}')
        assert asked.headers["authorization"] == "Bearer of the machine"
        assert json.loads(asked.body) == {"audience": "sigstore", "includeEmail": True}
        return Said(json.dumps({"token": token("other@example.com")}).encode())

    with serving(answer) as url:
        monkeypatch.setattr(ambient, "_GCP_TOKEN_REQUEST_URL", f"{url}/token")
        monkeypatch.setattr(ambient, "_GCP_GENERATEIDTOKEN_REQUEST_URL", url + "/id/{}")
        assert signed_by(GOOGLE_SERVICE_ACCOUNT_NAME="release") == "other@example.com"


def test_buildkite(signed_by, token, program):
    assert signed_by(BUILDKITE="true") == "ambient-identity"  # no such program
    asked = ("oidc", "request-token", "--audience", "sigstore")
    program("buildkite-agent", token("buildkite@example.com"), *asked)
    assert signed_by(BUILDKITE="true") == "buildkite@example.com"
    program("buildkite-agent", "", "something", "else")
    assert signed_by(BUILDKITE="true") == "ambient-identity"


def test_circleci(signed_by, token, program):
    assert signed_by(CIRCLECI="true") == "ambient-identity"
    asked = ("run", "oidc", "get", "--claims", '{"aud": "sigstore"}', "--root-issuer")
    program("circleci", token("circleci@example.com"), *asked)
    assert signed_by(CIRCLECI="true") == "circleci@example.com"


def test_kubernetes(instance, signed_by, tmp_path):
    """A projected token: links that are swapped when it is renewed, and a list of audiences."""
    who = "https://kubernetes.io/namespaces/models/serviceaccounts/release"
    now = int(time.time())
    claims = {"iss": instance.issuer, "aud": ["sigstore"], "sub": who, "iat": now, "exp": now + 600}
    oidc = state.load(instance.data).keys.oidc
    folder = tmp_path / "run"
    (folder / "..2026").mkdir(parents=True)
    (folder / "..2026" / "oidc-token").write_text(jwt.encode(claims, oidc, algorithm="RS256"))
    (folder / "..data").symlink_to("..2026")
    (folder / "oidc-token").symlink_to("..data/oidc-token")
    assert signed_by() == who

    (folder / "oidc-token").unlink()
    (folder / "oidc-token").write_text("no token\n")
    assert signed_by() == "token-malformed"
    (folder / "oidc-token").unlink()
    (folder / "oidc-token").mkdir()
    assert signed_by() == "not-a-file"


def test_which_comes_first(signed_by, token, tmp_path):
    names = ("option", "ours", "variable", "file", "machine")
    option, ours, variable, placed, machine = (token(f"{name}@example.com") for name in names)
    with github(machine, []) as url:
        env = {
            "GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
            "ACTIONS_ID_TOKEN_REQUEST_URL": url, "SIGSTORE_ID_TOKEN": variable,
            "MODELSEAL_IDENTITY_TOKEN": ours,
        }  # fmt: skip
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "oidc-token").write_text(placed)
        assert signed_by("--identity-token", option, **env) == "option@example.com"
        assert signed_by(**env) == "ours@example.com"
        del env["MODELSEAL_IDENTITY_TOKEN"]
        assert signed_by(**env) == "variable@example.com"
        del env["SIGSTORE_ID_TOKEN"]
        assert signed_by(**env) == "file@example.com"
        shutil.rmtree(folder)
        assert signed_by(**env) == "machine@example.com"
    assert signed_by() == "sign-in-needed"


# -- a token that was given, and is none -----------------------------------------------------------


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_token_is_never_that_of_the_system(signed_by, token, tmp_path, empty):
    """A secret that is not set would sign as whoever the machine is."""
    placed, named = tmp_path / "run" / "oidc-token", tmp_path / "token"
    placed.parent.mkdir()
    named.write_text(empty)
    with github(token("machine@example.com"), []) as url:
        env = {
            "GITHUB_ACTIONS": "true", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
            "ACTIONS_ID_TOKEN_REQUEST_URL": url,
        }  # fmt: skip
        assert signed_by(**env) == "machine@example.com"
        assert signed_by("--identity-token", named, **env) == "empty-value"
        assert signed_by(**env, MODELSEAL_IDENTITY_TOKEN=empty) == "empty-value"
        assert signed_by(**env, SIGSTORE_ID_TOKEN=empty) == "empty-value"
        placed.write_text(empty)
        assert signed_by(**env) == "empty-value"
    assert signed_by("--identity-token", "") == "empty-value"


def test_a_file_whose_name_has_two_dots_is_no_token(signed_by, token, tmp_path):
    (tmp_path / "below").mkdir()
    (tmp_path / "token").write_text(token("file@example.com"))
    assert signed_by("--identity-token", f"{tmp_path}/below/../token") == "file@example.com"


@pytest.fixture
def timed(instance):
    """Give a function that makes a token with other times, which are relative to now."""
    oidc = state.load(instance.data).keys.oidc

    def make(**times):
        now = time.time()
        claims = {
            "iss": instance.issuer, "aud": "sigstore", "sub": "https://alice.example",
            "iat": int(now), "exp": int(now) + 600,
        }  # fmt: skip
        changed = {name: now + value if isinstance(value, float) else value
                   for name, value in times.items()}  # fmt: skip
        return jwt.encode(claims | changed, oidc, algorithm="RS256")

    return make


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_that_is_about_to_become_valid_is_waited_for(signed_by, timed, name):
    """By clocks that differ a little; both claims are checked by somebody: the library, Fulcio."""
    assert signed_by("--identity-token", timed(**{name: 3.0})) == "https://alice.example"


@pytest.mark.parametrize(
    ("times", "code"),
    [
        ({"nbf": 3600.0}, "token-not-yet-valid"),
        ({"iat": 3600.0}, "token-not-yet-valid"),
        ({"nbf": 3600.0, "exp": 7200.0}, "token-not-yet-valid"),
        ({"exp": -1.0}, "token-expired"),
        ({"exp": -3600.0}, "token-expired"),
        ({"nbf": -7200.0, "iat": -7200.0, "exp": -3600.0}, "token-expired"),
        ({"nbf": "soon"}, "token-malformed"),
        ({"nbf": "1"}, "token-malformed"),
        ({"nbf": [1]}, "token-malformed"),
        ({"exp": "99999999999"}, "token-malformed"),
        ({"aud": "somebody else"}, "token-audience"),
    ],
)
def test_a_token_of_another_time_is_called_what_it_is(signed_by, timed, times, code):
    assert signed_by("--identity-token", timed(**times)) == code
