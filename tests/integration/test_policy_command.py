# SPDX-License-Identifier: Apache-2.0
"""`modelseal policy` and `verify --policy`, over models signed with keys, a CA and an instance."""

from __future__ import annotations

import json
import tomllib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from in_process import invoke
from private_ca import Kind, chain, leaf

import modelseal
from modelseal.policy import document


def ok(*arguments, code=0, **env):
    done = invoke(*arguments, env=env)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def policy(model):
    """Return the policy for the key that signed the model."""
    key, out = model.parent / "k.key", model.parent / "policy.toml"
    ok("key", "generate", key)
    ok("sign", model, "--key", key)
    ok("policy", "init", "--from", model, "--key", model.parent / "k.pub", "--out", out)
    return out


def signed_by_instance(model, instance, who="alice@example.com", *options):
    ok(
        "sign", model, "--trust-config", instance.trust_config,
        "--identity-token", instance.token(who), *options,
    )  # fmt: skip


def test_a_policy_for_a_key(model, policy):
    written = document.load(policy)
    (rule,) = written.rules
    assert (rule.models, written.trust_root) == (("digits",), None)
    assert written.signers[0].fingerprint in policy.read_text()  # for people
    assert "OK" in ok("policy", "check", policy).stdout
    assert "OK" in ok("verify", model, "--policy", policy).stdout


def test_what_is_there_is_not_replaced(model, policy):
    before = policy.read_bytes()
    key = model.parent / "k.pub"
    done = ok("policy", "init", "--from", model, "--key", key, "--out", policy, code=2)
    assert "already-exists" in done.stderr
    assert policy.read_bytes() == before
    ok("policy", "init", "--from", model, "--key", key, "--out", policy, "--overwrite")
    printed = ok("policy", "init", "--from", model / "model.sig", "--key", key).stdout
    assert document.parse(printed, model).rules[0].models == ("*",)  # a bundle names no model


def test_nothing_is_pinned_that_does_not_verify(model, policy):
    other, out = model.parent / "other.key", model.parent / "other.toml"
    ok("key", "generate", other)
    public = model.parent / "other.pub"
    done = ok("policy", "init", "--from", model, "--key", public, "--out", out, code=1)
    assert "key-mismatch" in done.stderr
    (model / "config.json").write_text("[]")
    key = model.parent / "k.pub"
    done = ok("policy", "init", "--from", model, "--key", key, "--out", out, code=1)
    assert "digest-mismatch" in done.stderr
    assert not out.exists()


def test_a_policy_for_an_identity_has_its_trusted_root_beside_it(model, instance):
    signed_by_instance(model, instance)
    out = model.parent / "etc" / "policy.toml"
    out.parent.mkdir()
    ok("policy", "init", "--from", model, "--trust-config", instance.trust_config, "--out", out)
    written = document.load(out)
    assert written.trust_root == out.parent / "trusted_root.json"
    (signer,) = written.signers
    assert (signer.identity, signer.issuer) == ("alice@example.com", instance.issuer)
    assert "log index" in out.read_text()
    assert modelseal.verify(model, policy=out)  # without any other trust

    signed_by_instance(model, instance, "mallory@example.com", "--overwrite")
    verdict = modelseal.verify(model, policy=out)
    assert verdict.code == "identity-mismatch"
    assert "'mallory@example.com', not 'alice@example.com'" in verdict.message

    explained = ok("policy", "explain", model, "--policy", out, code=1).stdout
    change, _, rule = explained.partition("would have to say:\n")[2].partition("# in [[rule]] num")
    added = tomllib.loads(change)
    assert rule.splitlines()[1].strip() == 'signers = ["release", "NAME"]'
    assert added["signers"]["NAME"]["identity"] == "mallory@example.com"


def test_limits_by_trusted_time(model, instance):
    signed_by_instance(model, instance)
    out = model.parent / "policy.toml"
    ok("policy", "init", "--from", model, "--trust-config", instance.trust_config, "--out", out)
    text = out.read_text()
    for line, code in (
        ('max_age = "1d"', "accepted"),
        ("not_before = 2020-01-01", "accepted"),
        ("not_before = 9998-01-01", "signed-too-early"),
        ("not_after = 2020-01-01", "signed-too-late"),
    ):
        limited = text.replace('signers = ["release"]', f'signers = ["release"]\n{line}')
        policy = document.parse(limited, out.parent)
        assert modelseal.verify(model, policy=policy).code == code, line
    time = modelseal.verify(model, policy=out).time
    revoked = '[[revoked]]\nreason = "stolen laptop"\nsigner = "release"\nnot_before = {}\n'
    for moment, code in ((time.isoformat(), "revoked"), ("9998-01-01T00:00:00Z", "accepted")):
        policy = document.parse(text + revoked.format(moment), out.parent)
        assert modelseal.verify(model, policy=policy).code == code
    index = modelseal.verify(model, policy=out).log_index
    revoked = '[[revoked]]\nreason = "x"\nlog_index = '
    assert modelseal.verify(
        model, policy=document.parse(f"{text}{revoked}{index}\n", out.parent)
    ).code == "revoked"  # fmt: skip


def test_a_policy_for_a_certificate_names_its_subject(model, tmp_path):
    holder, root = chain(Kind("root"), leaf())
    ca = tmp_path / "ca.pem"
    private, certificate = holder.write(tmp_path)
    ca.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    ok("sign", model, "--key", private, "--certificate", certificate, "--certificate-chain", ca)
    out = tmp_path / "policy.toml"
    ok("policy", "init", "--from", model, "--certificate-chain", ca, "--out", out)
    (signer,) = document.load(out).signers
    assert signer.subject == holder.certificate.subject.rfc4514_string()
    assert "OK" in ok("verify", model, "--policy", out).stdout
    anybody = out.read_text().replace("certificate_subject", "# certificate_subject")
    (tmp_path / "anybody.toml").write_text(anybody)
    done = ok("verify", model, "--policy", tmp_path / "anybody.toml")
    assert "nobody said whose certificate" in done.stderr
    checked = ok("policy", "check", tmp_path / "anybody.toml")
    assert "everybody whom the CA certifies" in checked.stderr


def test_check_says_what_may_not_have_been_meant(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(
        'version = 1\ndefault = "deny"\n'
        '[signers.a]\nidentity = "a@x"\nissuer = "https://i"\n'
        '[signers.b]\nidentity = "b@x"\nissuer = "https://i"\n'
        '[[rule]]\nmodels = ["*"]\nsigners = ["a"]\nmode = "warn"\n'
        '[[rule]]\nmodels = ["m"]\nsigners = ["a"]\nnot_before = 2026-02-01\n'
        "not_after = 2026-01-01\n"
    )
    said = json.loads(ok("policy", "check", path, "--format", "json").stdout)
    assert len(said["remarks"]) == 5
    for part in ("'b'", "no root", "only warns", "never reached", "accepts nothing"):
        assert any(part in remark for remark in said["remarks"]), part
    assert document.parse(json.dumps(said["policy"]), tmp_path) == document.load(path)
    path.write_text(path.read_text() + "[trust]\nroot = 'gone.json'\n")
    assert "gone.json" in ok("policy", "check", path, code=2).stderr
    path.write_text("version = 1\nrules = []\n")
    done = ok("policy", "check", path, code=1)
    assert "unknown key 'rules' (line 2); did you mean 'rule'" in done.stderr
    assert f"'{path}': " in done.stderr
    assert "docs/policy.md" in done.stderr


def test_cases(model, policy):
    table = model.parent / "cases.toml"
    case = '[[case]]\nmodel = "digits"\n'
    table.write_text(
        'policy = "policy.toml"\n'
        f'{case}verdict = "accepted"\n{case}name = "other"\nverdict = "refused"\ncode = "no-rule"\n'
    )
    done = ok("policy", "test", table)
    assert done.stdout.count("OK") == 2
    table.write_text(table.read_text() + f'{case}verdict = "refused"\n')
    done = ok("policy", "test", table, code=1)
    assert "expected refused, found accepted" in done.stdout
    cases = json.loads(ok("policy", "test", table, "--format", "json", code=1).stdout)["cases"]
    assert [one["as_expected"] for one in cases] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('policy = "policy.toml"\n', "has no 'case'"),
        ('policy = "policy.toml"\ncase = []\n', "has no case"),
        ('policy = "policy.toml"\n[[case]]\nmodel = "digits"\n', "has no 'verdict'"),
        ('policy = "policy.toml"\n[[case]]\nmodel = "digits"\nverdict = "ok"\n', "line 4"),
        ('policy = "policy.toml"\n[[cases]]\n', "did you mean 'case'"),
    ],
)
def test_a_table_that_tests_nothing_is_an_error(policy, text, said):
    table = policy.with_name("cases.toml")
    table.write_text(text)
    assert said in ok("policy", "test", table, code=1).stderr


def test_explain_takes_the_policy_from_the_environment(model, policy):
    assert (
        "verdict  accepted" in ok("policy", "explain", model, MODELSEAL_POLICY=str(policy)).stdout
    )
    done = ok("policy", "explain", model, code=2, MODELSEAL_POLICY=None)
    assert "--policy FILE" in done.stderr


def test_explain_in_json(model, policy):
    (model / "x.tmp").write_text("")
    done = ok("policy", "explain", model, "--policy", policy, "--format", "json", code=1)
    explained = json.loads(done.stdout)["explanation"]
    assert (explained["rule"], explained["verdict"]["code"]) == (1, "digest-mismatch")
    assert 'ignore_unsigned = ["x.tmp"]' in explained["change"]
    done = ok(
        "policy", "explain", model, "--policy", policy, "--name", "x", "--format", "json", code=1
    )
    assert json.loads(done.stdout)["explanation"]["rule"] is None


def test_a_warning_is_loud(model, policy):
    (model / "x.tmp").write_text("")
    policy.write_text(policy.read_text().replace('# mode = "warn" ', 'mode = "warn" '))
    done = ok("verify", model, "--policy", policy, "--quiet")
    assert "WARNING" in done.stdout
    assert "digest-mismatch" in done.stdout
    assert "with a warning" in ok("policy", "explain", model, "--policy", policy).stdout
