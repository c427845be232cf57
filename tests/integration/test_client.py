# SPDX-License-Identifier: Apache-2.0
"""sign, verify, inspect and load as users call them, from Python and from a shell."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from in_process import answers
from patience import PATIENCE

import modelseal
from modelseal.policy.verdict import Verdict
from modelseal.trust import embedded as roots

ALICE = "alice@example.com"


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "my-model"
    (folder / "sub").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(os.urandom(2_000_000))
    (folder / "sub" / "config.json").write_bytes(b"{}")
    return folder


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "model.joblib"
    path.write_bytes(os.urandom(1000))
    return path


@pytest.fixture
def who(instance) -> dict[str, object]:
    return {"identity": ALICE, "issuer": instance.issuer, "trust": instance.trusted_root}


def signed(instance, path: Path, **options: object) -> modelseal.Signed:
    return modelseal.sign(
        path, identity_token=instance.token(), trust=instance.trust_config, **options
    )


def shell(*arguments: object, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "modelseal", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=os.environ | env, check=False,
        timeout=PATIENCE,
    )  # fmt: skip


# -- Python --------------------------------------------------------------------------------------


def test_a_folder_gets_model_sig_inside(instance, model, who) -> None:
    made = signed(instance, model)
    assert made.bundle == model / "model.sig"
    assert (made.kind, made.files, made.signer.subject) == ("oms", 2, ALICE)
    verdict = modelseal.verify(model, **who)
    assert verdict
    assert verdict.signer == made.signer
    assert verdict.time is not None
    assert [check.passed for check in verdict.checks] == [True] * len(verdict.checks)


def test_a_file_gets_its_bundle_beside_it(instance, file, who) -> None:
    made = signed(instance, file)
    assert made.bundle == file.with_name("model.joblib.sigstore.json")
    assert made.kind == "artifact"
    assert modelseal.verify(file, **who)


def test_a_bundle_of_the_old_name_is_found(instance, file, who) -> None:
    signed(instance, file).bundle.rename(file.with_name("model.joblib.sigstore"))
    assert modelseal.verify(file, **who)


def test_a_bundle_elsewhere(instance, model, who, tmp_path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    assert signed(instance, model, bundle=elsewhere).bundle == elsewhere
    assert modelseal.verify(model, bundle=elsewhere, **who)
    assert modelseal.verify(model, **who).code == "unsigned"


def test_a_bundle_of_another_name_inside_is_not_part_of_the_model(instance, model, who) -> None:
    signed(instance, model, bundle=model / "sub" / "my.sig")
    assert modelseal.verify(model, bundle=model / "sub" / "my.sig", **who)


def test_a_renamed_model_stays_the_same_model(instance, file, model, who) -> None:
    for path in (file, model):
        signed(instance, path)
    file.with_name(file.name + ".sigstore.json").rename(file.with_name("new.sigstore.json"))
    assert modelseal.verify(file.rename(file.with_name("new")), **who)
    assert modelseal.verify(model.rename(model.with_name("other")), **who)


def test_a_decided_no_is_a_value_with_the_difference(instance, model, who) -> None:
    signed(instance, model)
    (model / "weights.bin").write_bytes(b"other")
    (model / "evil.py").touch()
    verdict = modelseal.verify(model, **who)
    assert not verdict
    assert verdict.code == "digest-mismatch"
    assert verdict.diff.changed == ("weights.bin",)
    assert verdict.diff.added == ("evil.py",)

    (model / "sub" / "config.json").unlink()  # now nothing has to be read to say no
    verdict = modelseal.verify(model, **who)
    assert not verdict
    assert verdict.diff.missing == ("sub/config.json",)
    assert (verdict.diff.changed, verdict.diff.added) == ((), ("evil.py",))
    assert verdict.diff.unread > 0
    with pytest.raises(modelseal.PolicyRefused) as refused:
        verdict.raise_for_refusal()
    assert refused.value.verdict is verdict


def test_load_gives_a_private_copy_that_is_gone_afterwards(instance, model, file, who) -> None:
    for path in (model, file):
        signed(instance, path)
    with modelseal.load(model, **who) as copy:
        (model / "weights.bin").write_bytes(b"changed meanwhile")
        assert (copy / "weights.bin").stat().st_size == 2_000_000
        assert sorted(p.name for p in copy.iterdir()) == ["sub", "weights.bin"]
    assert not copy.exists()
    with modelseal.load(file, **who) as copy:
        assert copy.read_bytes() == file.read_bytes()
        assert copy.name == file.name
    assert not copy.exists()


def test_load_refuses(instance, model, who) -> None:
    signed(instance, model)
    (model / "weights.bin").write_bytes(b"other")
    with pytest.raises(modelseal.PolicyRefused), modelseal.load(model, **who):
        pytest.fail("a refused model was loaded")
    (model / "model.sig").unlink()
    with pytest.raises(modelseal.PolicyRefused), modelseal.load(model, **who):
        pytest.fail("an unsigned model was loaded")


def test_results_show_themselves_in_a_notebook_and_escape_names(instance, model, who) -> None:
    made = signed(instance, model)
    assert "alice@example.com" in made._repr_html_()
    (model / "<script>alert(1)<").write_bytes(b"x")
    verdict = modelseal.verify(model, **who)
    html = verdict._repr_html_()
    assert "REFUSED" in html
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def test_verdicts_are_plain_json(instance, model, who) -> None:
    signed(instance, model)
    said = json.loads(json.dumps(modelseal.verify(model, **who).to_dict()))
    assert said["verdict"] == "accepted"
    who = {"kind": "identity", "identity": ALICE, "issuer": instance.issuer, "claims": {}}
    assert said["signer"] == who
    assert isinstance(modelseal.verify(model, **who), Verdict)


def test_everything_that_is_public_is_there() -> None:
    assert all(getattr(modelseal, name) for name in modelseal.__all__)
    assert set(modelseal.__all__) <= set(dir(modelseal))


def test_importing_modelseal_imports_nothing_heavy() -> None:
    code = (
        "import sys, modelseal.cli; "
        "print(sorted({'sigstore', 'cryptography', 'pydantic', 'rich'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# -- a shell -------------------------------------------------------------------------------------


def test_several_models_need_one_sign_in(instance, model, file, who) -> None:
    trust = ("--trust-config", instance.trust_config)
    done = shell("sign", model, file, *trust, "--identity-token", instance.token())
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SIGNED ") == 2
    indexes = [int(line.split()[-1]) for line in done.stdout.splitlines() if "log index" in line]
    assert indexes[0] != indexes[1]
    assert str(model / "model.sig") in done.stdout
    certificates = {
        json.dumps(json.loads(p.read_bytes())["verificationMaterial"]["certificate"])
        for p in (model / "model.sig", file.with_name(file.name + ".sigstore.json"))
    }
    assert len(certificates) == 1


def test_the_token_may_come_from_a_file_or_the_environment(instance, file, tmp_path) -> None:
    (tmp_path / "token").write_text(instance.token() + "\n")
    sign = ("sign", file, "--overwrite", "--trust-config", instance.trust_config)
    assert shell(*sign, "--identity-token", tmp_path / "token").returncode == 0
    assert shell(*sign, MODELSEAL_IDENTITY_TOKEN=instance.token()).returncode == 0


def test_ambient_credentials_of_a_ci_system(instance, file, who) -> None:
    """GitLab hands the token over in the environment."""
    sign = ("sign", file, "--trust-config", instance.trust_config)
    done = shell(*sign, GITLAB_CI="true", SIGSTORE_ID_TOKEN=instance.token())
    assert done.returncode == 0, done.stderr
    assert modelseal.verify(file, **who)


def test_without_an_identity_signing_says_what_is_needed(instance, file) -> None:
    config = ("--trust-config", instance.trust_config)
    done = shell("sign", file, *config, BROWSER="/bin/false")
    assert done.returncode == 4
    assert "[sign-in-needed]" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_line_a_model(instance, model, file, who) -> None:
    for path in (model, file):
        signed(instance, path)
    options = ("--trusted-root", instance.trusted_root, "--issuer", instance.issuer)
    good = shell("verify", model, file, "--identity", ALICE, *options)
    assert good.returncode == 0
    assert [line.split()[0] for line in good.stdout.splitlines()] == ["OK", "OK"]
    file.write_bytes(b"other")
    mixed = shell("verify", model, file, "--certificate-identity", ALICE, *options)
    assert mixed.returncode == 1
    assert mixed.stdout.splitlines()[1].startswith(f"FAIL {file}: [digest-mismatch]")
    assert "changed: 'model.joblib'" in mixed.stdout
    assert "\x1b" not in mixed.stdout, "no colours but on a terminal"


def test_legacy_files(instance, file) -> None:
    trust = ("--trust-config", instance.trust_config, "--identity-token", instance.token())
    assert shell("sign", file, "--legacy-files", *trust).returncode == 0
    assert sorted(p.name for p in file.parent.glob("model.joblib*")) == [
        "model.joblib", "model.joblib.crt", "model.joblib.sig", "model.joblib.sigstore",
        "model.joblib.sigstore.json",
    ]  # fmt: skip


def test_inspect_says_that_nothing_was_checked(instance, model) -> None:
    signed(instance, model)
    (model / "weights.bin").write_bytes(b"other")
    text = shell("inspect", model)
    assert text.returncode == 0
    assert text.stdout.startswith("NOT CHECKED")
    for word in (ALICE, instance.issuer, "weights.bin", "log index", "not before", "timestamps"):
        assert word in text.stdout
    (said,) = answers(shell("inspect", model / "model.sig", "--format", "json").stdout)
    assert said["checked"] is False
    assert [f["name"] for f in said["manifest"]["files"]] == ["sub/config.json", "weights.bin"]


def test_options_from_the_environment_and_from_a_file(instance, model, tmp_path) -> None:
    config = tmp_path / "modelseal.toml"
    config.write_text(
        f'identity = "{ALICE}"\nissuer = "{instance.issuer}"\n'
        f'trust_config = "{instance.trust_config}"\n'
    )
    done = shell("sign", model, "--config", config, SIGSTORE_IDENTITY_TOKEN=instance.token())
    assert done.returncode == 0, done.stderr
    assert shell("verify", model, "--config", config).returncode == 0
    assert shell("verify", model, MODELSEAL_CONFIG=str(config)).returncode == 0

    mallory = shell("verify", model, "--config", config, MODELSEAL_IDENTITY="mallory@example.com")
    assert mallory.returncode == 1
    assert "[identity-mismatch]" in mallory.stdout
    who = {"MODELSEAL_IDENTITY": ALICE, "MODELSEAL_ISSUER": instance.issuer}
    done = shell("verify", model, **who, MODELSEAL_TRUSTED_ROOT=str(instance.trusted_root))
    assert done.returncode == 0, done.stderr
    options = ("--cert-identity", "mallory@example.com", "--cert-oidc-issuer", instance.issuer)
    refused = shell("verify", model, *options, "--trusted-root", instance.trusted_root, **who)
    assert refused.returncode == 1

    policy = tmp_path / "policy.toml"
    root = f'[trust]\nroot = "{roots.STAGING}.json"\n'
    (tmp_path / f"{roots.STAGING}.json").write_bytes(roots.embedded(roots.STAGING))
    policy.write_text(
        f'version = 1\ndefault = "deny"\n{root}[signers.alice]\nidentity = "{ALICE}"\n'
        f'issuer = "{instance.issuer}"\n[[rule]]\nmodels = ["*"]\nsigners = ["alice"]\n'
    )
    by_policy = {"MODELSEAL_POLICY": str(policy)}
    assert shell("verify", model, **by_policy).returncode == 1, "by the policy's own root"
    by_policy["MODELSEAL_TRUSTED_ROOT"] = str(instance.trusted_root)
    assert shell("verify", model, **by_policy).returncode == 0

    (model.parent / "modelseal.toml").write_bytes(config.read_bytes())
    nothing = shell("verify", model, cwd=model.parent)
    assert (nothing.returncode, "[whose-signature]" in nothing.stderr) == (2, True)


def test_services_in_the_environment_are_not_in_the_way_of_a_key(model, tmp_path) -> None:
    key = tmp_path / "release.key"
    assert shell("key", "generate", key).returncode == 0
    env = {"MODELSEAL_INSTANCE": "https://sigstore.test", "MODELSEAL_SIGNING_KEY": str(key)}
    done = shell("sign", model, **env)
    assert done.returncode == 0, done.stderr
    assert shell("verify", model, MODELSEAL_KEY=str(tmp_path / "release.pub")).returncode == 0
    both = shell("sign", model, "--overwrite", **env, MODELSEAL_IDENTITY_TOKEN="a.b.c")
    assert both.returncode == 2
    assert "MODELSEAL_IDENTITY_TOKEN and MODELSEAL_SIGNING_KEY exclude each other" in both.stderr


def test_an_instance_known_by_its_url(instance, model, tmp_path) -> None:
    """Trusted once with the stock client, then by URL: TUF for signing, the cache for verifying."""
    home = {"XDG_DATA_HOME": str(tmp_path / "d"), "XDG_CACHE_HOME": str(tmp_path / "c")}
    root = tmp_path / "root.json"
    subprocess.run([sys.executable, "-c", _FETCH, f"{instance.url}/root.json", root], check=True)
    trust = [sys.executable, "-m", "sigstore", "--instance", instance.url, "trust-instance", root]
    subprocess.run(trust, check=True, env=os.environ | home, capture_output=True, timeout=PATIENCE)
    here = ("--instance", instance.url)
    done = shell("sign", model, *here, "--identity-token", instance.token(), **home)
    assert done.returncode == 0, done.stderr
    who = ("--identity", ALICE, "--issuer", instance.issuer)
    assert shell("verify", model, *here, *who, **home).returncode == 0

    cached = next((tmp_path / "c").rglob("trusted_root.json"))
    cached.write_bytes(roots.embedded(roots.STAGING))  # as if the instance had changed all keys
    assert shell("verify", model, *here, *who, **home).returncode == 1
    done = shell("verify", model, *here, *who, "--refresh", **home)
    assert done.returncode == 0, done.stderr
    assert f"trust root: the instance {instance.url}, by TUF current until 20" in done.stderr
    nowhere = ("--instance", "http://127.0.0.1:9", "--refresh")
    assert shell("verify", model, *nowhere, *who, **home).returncode == 3


_FETCH = "import sys,urllib.request as u;u.urlretrieve(sys.argv[1],sys.argv[2])"


def test_a_terminal_sees_colours_and_long_work_its_progress(instance, model, who) -> None:
    signed(instance, model)
    command = [
        sys.executable, "-m", "modelseal", "verify", str(model), "--identity", ALICE,
        "--issuer", instance.issuer, "--trusted-root", str(instance.trusted_root),
    ]  # fmt: skip
    reader, writer = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm"}
    with subprocess.Popen(command, stdout=writer, stderr=writer, env=environment) as process:
        os.close(writer)
        seen = b""
        while True:
            try:
                part = os.read(reader, 4096)
            except OSError:  # EIO: the last writer is gone
                break
            if not part:
                break
            seen += part
    os.close(reader)
    assert process.returncode == 0
    assert b"\x1b[1;32mOK" in seen


def test_an_answer_that_cannot_be_given_is_no_answer(instance, file, who) -> None:
    signed(instance, file)
    command = [
        sys.executable, "-m", "modelseal", "verify", str(file), "--identity", ALICE,
        "--issuer", instance.issuer, "--trusted-root", str(instance.trusted_root),
    ]  # fmt: skip
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert b"cannot write the answer" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_terminal_that_knows_no_unicode_gets_escapes(instance, file, who) -> None:
    renamed = file.rename(file.with_name("m\u2603.bin"))
    signed(instance, renamed)
    options = ("--trusted-root", instance.trusted_root, "--issuer", instance.issuer)
    done = shell("verify", renamed, "--identity", ALICE, *options, PYTHONIOENCODING="latin-1")
    assert done.returncode == 0, done.stderr
    assert "m\\u2603.bin" in done.stdout


def test_help_has_examples_for_every_command() -> None:
    for command in ("sign", "verify", "inspect"):
        done = shell(command, "--help")
        assert done.returncode == 0
        assert "Examples:" in done.stdout


def test_two_identities_of_three(instance, model, who) -> None:
    signed(instance, model)
    three = [(f"{name}@example.com", instance.issuer) for name in ("alice", "bob", "carol")]
    root = {"trust": instance.trusted_root}
    assert modelseal.verify_threshold(model, signers=three, threshold=1, **root)
    few = modelseal.verify_threshold(model, signers=three, threshold=2, **root)
    assert (few.code, few.status) == ("too-few-signers", "refused")

    token = instance.token("bob@example.com")
    config = instance.trust_config
    bob = modelseal.sign(model, identity_token=token, trust=config, add=True)
    assert bob.bundle == model / "model.sig.2"
    assert modelseal.verify_threshold(model, signers=three, threshold=2, **root)
    assert modelseal.verify(model, **who)
    assert modelseal.verify(model, **who | {"identity": "bob@example.com"})
    with modelseal.load(model, **who) as copy:
        assert sorted(p.name for p in copy.iterdir()) == ["sub", "weights.bin"]

    options = [o for pair in three for o in ("--identity", pair[0], "--issuer", pair[1])]
    done = shell("verify", model, *options, "--trusted-root", instance.trusted_root)
    assert done.returncode == 1, done.stdout
    options += ["--threshold", 2]
    done = shell("verify", model, *options, "--trusted-root", instance.trusted_root)
    assert done.returncode == 0, done.stdout
