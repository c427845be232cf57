# SPDX-License-Identifier: Apache-2.0
"""An empty value is an error wherever one can be given; it never means "not given"."""

from __future__ import annotations

import inspect

import pytest
from in_process import invoke

import modelseal
from modelseal.cli import COMMANDS, command_parser
from modelseal.errors import UsageError
from modelseal.signing.signers import schemes
from modelseal.trust import private_keys, trust_root

SIGNER = {"identity": "alice@example.com", "issuer": "https://issuer.example"}


def parsers(parser, words):
    yield parser, words
    for action in parser._actions:
        if action.nargs == "A...":  # commands of the command
            for name, inner in action.choices.items():
                yield from parsers(inner, [*words, name])


OPTIONS = [
    (words, action.option_strings[-1])
    for name in COMMANDS
    for parser, words in parsers(command_parser(name), [name])
    for action in parser._actions
    if action.option_strings and action.nargs is None
]
PATHS = [
    words
    for name in COMMANDS
    for parser, words in parsers(command_parser(name), [name])
    if any(not a.option_strings and a.nargs != "A..." for a in parser._actions)
]


def test_there_are_options_to_test():
    names = {option for _, option in OPTIONS}
    assert names >= {"--identity-token", "--trusted-root", "--key", "--bundle", "--out", "--host"}
    assert ["instance", "hash-password"] in PATHS


@pytest.mark.parametrize(("words", "option"), OPTIONS, ids="".join)
@pytest.mark.parametrize("as_one_word", [True, False])
def test_every_option(words, option, as_one_word):
    given = [f"{option}="] if as_one_word and option.startswith("--") else [option, ""]
    done = invoke(*words, *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {option} is empty. [empty-value]\n"), done


@pytest.mark.parametrize("words", PATHS, ids="-".join)
def test_every_argument(words):
    """`modelseal sign "$MODEL"` would sign the folder that one is in."""
    done = invoke(*words, "")
    assert (done.exit_code, "[empty-value]" in done.stderr) == (2, True), done
    done = invoke(*words, "--", "")
    assert (done.exit_code, "[empty-value]" in done.stderr) == (2, True), done


def test_json_has_the_error_too():
    done = invoke("verify", "model", "--key", "", "--format", "json")
    assert (done.exit_code, '"empty-value"' in done.stdout) == (2, True)


FUNCTIONS = {
    "sign": (modelseal.sign, {"path": "model"}),
    "verify": (modelseal.verify, {"path": "model", **SIGNER}),
    "load": (lambda **given: modelseal.load(**given).__enter__(), {"path": "model", **SIGNER}),
    "choose": (trust_root.choose, {}),
}
REQUEST = (
    "identity", "issuer", "key", "certificate_authority", "certificate_subject", "policy", "trust",
    "trusted_root", "trust_config", "instance", "verifier", "bundle", "path",
)  # fmt: skip
ARGUMENTS = [
    *(("sign", name) for name, one in inspect.signature(modelseal.sign).parameters.items()
      if "str" in one.annotation),
    *(("verify", name) for name in REQUEST),
    *(("load", name) for name in (*REQUEST, "store")),
    *(("choose", name) for name in ("trusted_root", "trust_config", "instance")),
]  # fmt: skip


def test_there_are_arguments_to_test():
    assert {("sign", "identity_token"), ("sign", "bundle"), ("load", "store")} <= set(ARGUMENTS)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_every_argument_in_python(name, argument):
    function, given = FUNCTIONS[name]
    error = refusal(function, **{**given, argument: ""})
    assert (error.code, error.message) == ("empty-value", f"'{argument}' is empty.")


def test_values_in_lists():
    for call in (
        lambda: modelseal.verify_all(["model", ""], **SIGNER),
        lambda: modelseal.verify_all(iter(["model", ""]), **SIGNER),
        lambda: modelseal.verify("model", key=["release.pub", ""]),
        lambda: modelseal.verify("model", signers=[("alice@example.com", "")]),
        lambda: modelseal.verify("model", **SIGNER, ignore_unsigned=[""]),
    ):
        assert refusal(call).code == "empty-value"


def test_an_empty_password(monkeypatch, tmp_path):
    monkeypatch.setenv("EMPTY", "")
    assert refusal(private_keys.password_from, "EMPTY").code == "key-password"
    done = invoke("key", "generate", tmp_path / "a.key", "--password-env", "EMPTY")
    assert (done.exit_code, "is empty. [key-password]" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_module_or_pin(monkeypatch, tmp_path):
    pytest.importorskip("pkcs11")
    monkeypatch.setenv("MODELSEAL_PKCS11_MODULE", "")
    assert refusal(schemes.load, "pkcs11:token=a").code == "empty-value"
    module, pin = tmp_path / "module.so", tmp_path / "pin"
    module.touch()
    pin.write_text("\n")
    uri = f"pkcs11:token=a?module-path={module}&pin-source=file:{pin}"
    error = refusal(schemes.load, uri)
    assert (error.code, error.message) == ("empty-value", f"The PIN in '{pin}' is empty.")


def refusal(call, *more, **given) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call(*more, **given)
    return caught.value
