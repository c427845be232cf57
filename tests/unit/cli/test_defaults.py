# SPDX-License-Identifier: Apache-2.0
"""Where options come from: flags, environment, configuration file, in this order."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from in_process import invoke

from modelseal.cli import _defaults
from modelseal.cli._defaults import SIGN_AS, SIGNER, TRUST, add_defaults, apply_defaults
from modelseal.cli._options import Parser
from modelseal.errors import ModelSealError, UsageError

ALICE, ISSUER = "alice@example.com", "https://issuer.example"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "etc" / "modelseal.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def verify_parser():
    parser = Parser("modelseal verify", "")
    for name, dest in (
        ("--identity", "identities"),
        ("--issuer", "issuers"),
        ("--key", "keys"),
        ("--publisher", "publishers"),
    ):
        parser.add_argument(name, dest=dest, action="append", default=[], help="Who.")
    for name in (
        "certificate-chain", "certificate-subject", "policy", "policy-signer", "trusted-root",
        "trust-config", "instance",
    ):  # fmt: skip
        parser.add_argument(f"--{name}", help="What.")
    parser.add_argument("--staging", action="store_true")
    add_defaults(parser, SIGNER, TRUST)
    return parser


def sign_parser():
    parser = Parser("modelseal sign", "")
    for name in ("identity-token", "key", "trust-config", "instance"):
        parser.add_argument(f"--{name}", help="What.")
    parser.add_argument("--staging", action="store_true")
    add_defaults(parser, SIGN_AS, TRUST)
    return parser


@pytest.fixture
def verify(monkeypatch):
    """Give a function from flags and environment to the options of a `verify`."""
    return lambda *flags, **env: _options(monkeypatch, verify_parser(), (SIGNER, TRUST), flags, env)


@pytest.fixture
def sign(monkeypatch):
    return lambda *flags, **env: _options(monkeypatch, sign_parser(), (SIGN_AS, TRUST), flags, env)


def _options(monkeypatch, parser, choices, flags, env):
    with monkeypatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        options = parser.parse([str(flag) for flag in flags])
        apply_defaults(options, *choices)
        return options


def code_of(call, *flags, **env):
    with pytest.raises(ModelSealError) as refused:
        call(*flags, **env)
    return refused.value.code


def test_without_anything_nothing_is_set(verify):
    options = verify()
    assert (options.identities, options.keys, options.trusted_root) == ([], [], None)


def test_environment(verify):
    options = verify(
        MODELSEAL_IDENTITY=ALICE, MODELSEAL_ISSUER=ISSUER, MODELSEAL_TRUSTED_ROOT="root.json"
    )
    assert (options.identities, options.issuers) == ([ALICE], [ISSUER])
    assert options.trusted_root == "root.json"


@pytest.mark.parametrize("named_by", ["flag", "environment"])
def test_file(verify, config, tmp_path, named_by):
    path = config(
        f'identity = ["{ALICE}", "bob@example.com"]\nissuer = ["{ISSUER}", "{ISSUER}"]\n'
        'trusted_root = "root.json"\nsigning_key = "release.key"\n'
    )
    flags, env = ((), {"MODELSEAL_CONFIG": str(path)})
    if named_by == "flag":
        flags, env = ("--config", path), {}
    options = verify(*flags, **env)
    assert options.identities == [ALICE, "bob@example.com"]
    assert options.issuers == [ISSUER, ISSUER]
    assert options.trusted_root == str(tmp_path / "etc" / "root.json")


def test_nothing_is_read_that_was_not_named(verify, config):
    path = config(f'identity = "{ALICE}"\n')
    names = ("modelseal.toml", ".modelseal.toml", "pyproject.toml", "config.toml")
    for name in names:
        Path(name).write_bytes(path.read_bytes())
    assert verify().identities == []


@pytest.mark.parametrize("given", list(product([False, True], repeat=3)))
def test_the_first_place_wins(verify, config, given):
    flag, environment, file = given
    flags = ["--trust-config", "flag"] if flag else []
    env = {"MODELSEAL_TRUST_CONFIG": "environment"} if environment else {}
    if file:
        env["MODELSEAL_CONFIG"] = str(config('trust_config = "/file"'))
    expected = "flag" if flag else "environment" if environment else "/file" if file else None
    assert verify(*flags, **env).trust_config == expected


@pytest.mark.parametrize("given", list(product([False, True], repeat=3)))
def test_the_first_place_that_chooses_chooses_alone(verify, config, given):
    """What is believed, and who must have signed, is never a mixture of two places."""
    flag, environment, file = given
    flags = ["--key", "flag.pub", "--instance", "https://flag.test"] if flag else []
    env = {}
    if environment:
        env = {"MODELSEAL_CERTIFICATE_CHAIN": "ca.pem", "MODELSEAL_TRUSTED_ROOT": "root"}
    if file:
        text = f'identity = "{ALICE}"\nissuer = "{ISSUER}"\ntrust_config = "/config"'
        env["MODELSEAL_CONFIG"] = str(config(text))
    options = verify(*flags, **env)
    chosen = (options.keys, options.certificate_chain, options.identities, options.issuers)
    believed = (options.instance, options.trusted_root, options.trust_config)
    if flag:
        assert chosen == (["flag.pub"], None, [], [])
        assert believed == ("https://flag.test", None, None)
    elif environment:
        assert chosen == ([], "ca.pem", [], [])
        assert believed == (None, "root", None)
    elif file:
        assert chosen == ([], None, [ALICE], [ISSUER])
        assert believed == (None, None, "/config")


def test_what_belongs_together_may_come_from_several_places(verify, config):
    path = config(f'issuer = "{ISSUER}"')
    options = verify("--identity", ALICE, "--config", path)
    assert (options.identities, options.issuers) == ([ALICE], [ISSUER])
    options = verify("--issuer", "https://flag.test", MODELSEAL_IDENTITY=ALICE)
    assert (options.identities, options.issuers) == ([ALICE], ["https://flag.test"])


def test_a_flag_without_a_variable_chooses_too(verify):
    assert verify("--staging", MODELSEAL_INSTANCE="https://sigstore.test").instance is None


@pytest.mark.parametrize(("env", "code"), [
    ({"IDENTITY": ALICE, "KEY": "k.pub"}, "whose-signature"),
    ({"ISSUER": ISSUER, "POLICY": "policy.toml"}, "whose-signature"),
    ({"KEY": "k.pub", "CERTIFICATE_CHAIN": "ca.pem"}, "whose-signature"),
    ({"TRUSTED_ROOT": "root", "TRUST_CONFIG": "config"}, "conflicting-trust"),
    ({"INSTANCE": "https://sigstore.test", "TRUST_CONFIG": "config"}, "conflicting-trust"),
])  # fmt: skip
def test_two_answers_in_one_place_are_an_error_that_names_both(verify, config, env, code):
    with pytest.raises(UsageError) as refused:
        verify(**{f"MODELSEAL_{name}": value for name, value in env.items()})
    assert refused.value.code == code
    assert all(f"MODELSEAL_{name}" in refused.value.message for name in env)

    path = config("".join(f'{name.lower()} = "{value}"\n' for name, value in env.items()))
    with pytest.raises(UsageError) as refused:
        verify("--config", path)
    assert refused.value.code == code
    assert all(f"'{name.lower()}' in '{path}'" in refused.value.message for name in env)


def test_two_answers_among_the_flags_are_left_to_the_command(verify):
    options = verify("--identity", ALICE, "--key", "k.pub", MODELSEAL_ISSUER=ISSUER)
    assert (options.identities, options.issuers, options.keys) == ([ALICE], [], ["k.pub"])


def test_a_key_to_sign_with_is_not_one_to_verify_with(sign, verify):
    env = {"MODELSEAL_KEY": "release.pub"}
    assert sign(**env).key is None
    assert verify(**env).keys == ["release.pub"]
    env = {"MODELSEAL_SIGNING_KEY": "release.key"}
    assert sign(**env).key == "release.key"
    assert verify(**env).keys == []


def test_what_a_command_has_no_option_for_does_not_count(sign):
    env = {"MODELSEAL_TRUSTED_ROOT": "root", "MODELSEAL_INSTANCE": "https://sigstore.test"}
    assert sign(**env).instance == "https://sigstore.test"


def test_the_token_variable_of_the_stock_client(sign):
    assert sign(SIGSTORE_IDENTITY_TOKEN="a.b.c").identity_token == "a.b.c"
    env = {"SIGSTORE_IDENTITY_TOKEN": "a.b.c", "MODELSEAL_IDENTITY_TOKEN": "d.e.f"}
    assert sign(**env).identity_token == "d.e.f"
    assert sign("--key", "release.key", **env).identity_token is None


@pytest.mark.parametrize(("value", "expected"), [
    ("a.b.c", "a.b.c"),
    ("token", "{folder}/token"),
    ("/run/token", "/run/token"),
])  # fmt: skip
def test_a_token_in_a_file_is_the_token_or_a_path(sign, config, value, expected):
    path = config(f'identity_token = "{value}"')
    token = sign("--config", path).identity_token
    assert token == expected.format(folder=path.parent)


@pytest.mark.parametrize("uri", ["pkcs11:token=x;object=y", "awskms:///alias/release"])
def test_the_uri_of_a_key_is_no_path(sign, config, uri):
    assert sign("--config", config(f'signing_key = "{uri}"')).key == uri


@pytest.mark.parametrize("value", ["", " ", "\n"])
def test_an_empty_value_is_an_error(verify, sign, config, value):
    assert code_of(verify, MODELSEAL_TRUSTED_ROOT=value) == "empty-value"
    assert code_of(verify, "--identity", ALICE, MODELSEAL_ISSUER=value) == "empty-value"
    assert code_of(sign, MODELSEAL_IDENTITY_TOKEN=value) == "empty-value"
    assert code_of(sign, SIGSTORE_IDENTITY_TOKEN=value) == "empty-value"
    assert code_of(verify, MODELSEAL_CONFIG=value) == "empty-value"
    assert code_of(verify, "--config", value) == "empty-value"
    text = f"trusted_root = {value!r}".replace("'", '"')
    assert code_of(verify, "--config", config(text)) == "empty-value"


def test_an_empty_variable_that_is_not_looked_at_is_none(verify):
    assert verify("--key", "k.pub", MODELSEAL_IDENTITY="").keys == ["k.pub"]


@pytest.mark.parametrize(("text", "said"), [
    ("identify = 'a'", "Did you mean 'identity'?"),
    ("[trust]\nroot = 'x'", "'trust' in "),
    ("zzz = 1", "Known are: identity, "),
    ("identity = 7", "neither a string nor a list of strings"),
    ("identity = []", "neither a string nor a list of strings"),
    ("identity = [['a']]", "neither a string nor a list of strings"),
    ("trusted_root = ['a', 'b']", "has more than one value"),
    ("identity = ", "is not TOML"),
    ("identity = 'a'\nidentity = 'b'", "is not TOML"),
    ("'a\x1b' = 'b'", "is not TOML"),
    ('"a\\u001b" = "b"', "'a\\x1b' in "),
])  # fmt: skip
def test_a_bad_file(verify, config, text, said):
    with pytest.raises(UsageError) as refused:
        verify("--config", config(text))
    assert refused.value.code == "bad-config"
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_a_file_that_is_not_there_or_not_text(verify, config, tmp_path):
    assert code_of(verify, "--config", tmp_path / "nowhere.toml") == "not-found"
    path = config("")
    path.write_bytes(b"\xff\xfe")
    assert code_of(verify, "--config", path) == "bad-config"


@pytest.mark.parametrize("where", ["flag", "variable", "file"])
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_a_number_of_processors_from_anywhere(config, monkeypatch, tmp_path, where, value):
    (tmp_path / "model").write_text("weights")

    def run(number):
        path = config(f"jobs = {number}" if where == "file" else "")
        monkeypatch.setenv("MODELSEAL_JOBS", number)
        if where != "variable":
            monkeypatch.delenv("MODELSEAL_JOBS")
        flags = (f"--jobs={number}",) if where == "flag" else ()
        return invoke("digest", tmp_path / "model", "--config", path, *flags)

    assert run("2").exit_code == 0
    done = run(value)
    assert done.exit_code == 2
    is_number = where != "file" or value in {"0", "-1"}
    assert ("bad-workers" if is_number else "bad-config") in done.output


def test_help_names_the_variables():
    text = " ".join(verify_parser().format_help().split())
    for setting in (*SIGNER.settings(), *TRUST.settings()):
        assert not setting.name or f"[${setting.variable}]" in text
    assert "[$MODELSEAL_CONFIG]" in text


def test_names_are_unique():
    names = [s.name for choice in _defaults.CHOICES for s in choice.settings() if s.name]
    assert len(names) == len(set(names))


def test_the_page_has_every_variable_and_key():
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    for setting in (s for choice in _defaults.CHOICES for s in choice.settings() if s.name):
        names = [setting.variable, setting.name, *filter(None, [setting.alias])]
        assert any(all(f"`{name}`" in row for name in names) for row in rows), setting.name


@pytest.mark.parametrize("variable", ["MODELSEAL_TRUSTED_ROOT", "MODELSEAL_TRUST_CONFIG"])
def test_an_empty_flag_is_not_filled_from_elsewhere(variable):
    done = invoke("verify", "model", "--trusted-root", "", env={variable: "root.json"})
    assert (done.exit_code, "--trusted-root is empty. [empty-value]" in done.stderr) == (2, True)
