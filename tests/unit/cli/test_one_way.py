# SPDX-License-Identifier: Apache-2.0
"""More than one way to sign, or to say who signed, is a usage error: every combination is tried.

Neither the model nor any other file exists, so that what is allowed ends at the first of them.
"""

from __future__ import annotations

from itertools import chain, product

import pytest
from in_process import invoke

BARE = {"MODELSEAL_IDENTITY_TOKEN": None}
SERVICES = {
    "instance": ("--instance", "https://sigstore.test"), "config": ("--trust-config", "config"),
    "staging": ("--staging",),
}  # fmt: skip
SIGN = {
    "key": ("--key", "key"), "password": ("--password-env", "PATH"),
    "certificate": ("--certificate", "leaf"), "chain": ("--certificate-chain", "chain"),
    "token": ("--identity-token", "a.b.c"), "log": ("--log",), "timestamp": ("--timestamp",),
    **SERVICES,
}  # fmt: skip
VERIFY = {
    "identity": ("--identity", "alice@example.com"), "issuer": ("--issuer", "https://issuer.test"),
    "key": ("--key", "key"), "chain": ("--certificate-chain", "chain"),
}  # fmt: skip


def subsets(options):
    return [
        frozenset(name for name, taken in zip(options, chosen, strict=True) if taken)
        for chosen in product((False, True), repeat=len(options))
    ]


def named(given):
    return "-".join(sorted(given)) or "nothing"


def code(command, tmp_path, given, options, **env):
    arguments = chain.from_iterable(options[name] for name in sorted(given))
    done = invoke(command, tmp_path / "no-model", *arguments, env=BARE | env)
    assert done.exit_code in {2, 3}, (given, done.output)
    return done.output.splitlines()[0].partition("[")[2].partition("]")[0]


def expected_of_sign(given):
    if len(given & set(SERVICES)) > 1:
        return "conflicting-trust"
    witnessed = given & {"log", "timestamp"}
    if "key" in given:
        wrong = (
            "token" in given
            or (given & set(SERVICES) and not witnessed)
            or ("chain" in given and "certificate" not in given)
        )
    else:
        wrong = witnessed or given & {"password", "certificate", "chain"}
    return "bad-options" if wrong else "not-found"


@pytest.mark.parametrize("of_key", subsets(dict(list(SIGN.items())[:5])), ids=named)
def test_sign(of_key, tmp_path):
    for rest in subsets(dict(list(SIGN.items())[5:])):
        given = of_key | rest
        assert code("sign", tmp_path, given, SIGN) == expected_of_sign(given), sorted(given)


def test_a_token_in_the_environment_is_not_in_the_way_of_a_key(tmp_path):
    env = {"MODELSEAL_IDENTITY_TOKEN": "a.b.c"}
    assert code("sign", tmp_path, {"key"}, SIGN, **env) == "not-found"


@pytest.mark.parametrize("given", subsets(VERIFY), ids=named)
def test_verify(given, tmp_path):
    one_way = given in ({"identity", "issuer"}, {"key"}, {"chain"})
    assert (code("verify", tmp_path, given, VERIFY) != "whose-signature") == one_way


@pytest.mark.parametrize("given", subsets(SERVICES | {"root": ()}), ids=named)
@pytest.mark.parametrize("who", [{"identity", "issuer"}, {"key"}, {"chain"}], ids=named)
def test_verify_believes_one_source(who, given, tmp_path):
    options = VERIFY | SERVICES | {"root": ("--trusted-root", "root")}
    conflicting = code("verify", tmp_path, who | given, options) == "conflicting-trust"
    assert conflicting == (len(given) > 1)
