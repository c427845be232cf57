# SPDX-License-Identifier: Apache-2.0
"""A policy that must be signed itself is not believed in a single word before it was verified."""

from __future__ import annotations

import pytest
from in_process import invoke

import modelseal
from modelseal.errors import FormatError, ModelSealError, Unverified, UsageError
from modelseal.servers import start

POLICY = """\
version = 1
default = "deny"
[signers.release]
public_key = "release.pub"
logged = false
[[rule]]
models = ["*"]
signers = ["release"]
[mlserver]
runtimes = ["mlserver_sklearn.SKLearnModel"]
"""


def ok(*arguments, code=0, **more):
    done = invoke(*arguments, **more)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def bench(tmp_path):
    """Return a folder with a signed model, a signed policy for it, and the keys of both."""
    for name in ("release", "operator"):
        ok("key", "generate", tmp_path / f"{name}.key")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.json").write_text("{}")
    ok("sign", tmp_path / "model", "--key", tmp_path / "release.key")
    (tmp_path / "policy.toml").write_text(POLICY)
    ok("sign", tmp_path / "policy.toml", "--key", tmp_path / "operator.key")
    return tmp_path


def verify(bench, signer="operator.pub", policy="policy.toml"):
    return modelseal.verify(
        bench / "model", policy=bench / policy, policy_signer=str(bench / signer)
    )


def test_a_signed_policy_is_used_with_paths_beside_itself(bench):
    assert verify(bench)


def test_links_of_a_config_map(bench):
    mounted = bench / "etc"
    mounted.mkdir()
    (mounted / "..data").symlink_to(bench)
    for name in ("policy.toml", "policy.toml.sigstore.json", "operator.pub"):
        (mounted / name).symlink_to(f"..data/{name}")
    assert verify(bench, "etc/operator.pub", "etc/policy.toml")


@pytest.mark.parametrize("case", ["changed", "unsigned", "other signer", "emptied"])
def test_any_other_policy_is_refused(bench, case):
    policy = bench / "policy.toml"
    if case == "changed":
        policy.write_text(POLICY + "# more\n")
    elif case == "unsigned":
        (bench / "policy.toml.sigstore.json").unlink()
    elif case == "emptied":
        policy.write_text("")
    signer = "release.pub" if case == "other signer" else "operator.pub"
    with pytest.raises(Unverified, match="policy-not-signed"):
        verify(bench, signer)


def test_what_a_policy_names_is_not_read_before_it_is_verified(bench):
    """A hostile policy could name a pipe, or a file whose reading somebody sees."""
    (bench / "policy.toml").write_text(POLICY.replace("release.pub", "/dev/zero"))
    with pytest.raises(Unverified, match="policy-not-signed"):
        verify(bench)


def test_by_an_identity(bench, instance):
    policy = bench / "policy.toml"
    ok(
        "sign", policy, "--trust-config", instance.trust_config, "--overwrite",
        "--identity-token", instance.token("operator@example.com"),
    )  # fmt: skip
    signer = f"identity=operator@example.com,issuer={instance.issuer}"
    asked = {"policy": policy, "trust": instance.trust_config}
    assert modelseal.verify(bench / "model", **asked, policy_signer=signer)
    with pytest.raises(Unverified, match="policy-not-signed"):
        modelseal.verify(
            bench / "model", **asked, policy_signer=signer.replace("operator", "mallory")
        )
    with pytest.raises(ModelSealError):  # the public instance knows nobody of this one
        modelseal.verify(bench / "model", policy=policy, policy_signer=signer)


@pytest.mark.parametrize("signer", ["identity=a@x", "identity=,issuer=i", "identity=a,issuer=", ""])
def test_a_signer_that_is_none(bench, signer):
    with pytest.raises(UsageError):
        modelseal.verify(bench / "model", policy=bench / "policy.toml", policy_signer=signer)


def test_a_signer_without_a_file_of_a_policy(bench):
    with pytest.raises(UsageError, match="whose-signature"):
        modelseal.verify(
            bench / "model", key=bench / "release.pub", policy_signer=str(bench / "operator.pub")
        )


def test_on_the_command_line_and_in_the_environment(bench):
    policy, signer = bench / "policy.toml", bench / "operator.pub"
    ok("verify", bench / "model", "--policy", policy, "--policy-signer", signer)
    required = {"MODELSEAL_POLICY_SIGNER": str(signer)}
    ok("verify", bench / "model", "--policy", policy, env=required)
    policy.write_text(POLICY + "#\n")
    done = ok("verify", bench / "model", "--policy", policy, env=required, code=1)
    assert "policy-not-signed" in done.stderr
    ok("verify", bench / "model", "--policy", policy)
    config = bench / "config.toml"
    config.write_text('policy = "policy.toml"\npolicy_signer = "operator.pub"\n')
    assert "policy-not-signed" in ok(
        "verify", bench / "model", "--config", config, code=1
    ).stderr  # fmt: skip


def test_a_server_starts_only_with_the_signed_policy(bench, tmp_path):
    models = tmp_path / "served"
    models.mkdir()

    def checked(**more):
        return start.checked(
            models, "policy.toml", "store", start=bench / "etc", import_path=(), **more
        )

    (bench / "etc").mkdir()
    for name in ("policy.toml", "policy.toml.sigstore.json", "operator.pub", "release.pub"):
        (bench / name).rename(bench / "etc" / name)
    assert checked(policy_signer="operator.pub").policy.rules.policy.rules
    with pytest.raises(UsageError, match="no-trust-root"):
        checked(policy_signer="identity=a@x,issuer=https://i")
    with pytest.raises(Unverified, match="policy-not-signed"):
        checked(policy_signer="release.pub")
    (bench / "etc" / "policy.toml").write_text("version = 2")
    with pytest.raises(Unverified, match="policy-not-signed"):
        checked(policy_signer="operator.pub")
    with pytest.raises(FormatError, match="bad-policy"):
        checked()
