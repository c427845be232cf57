# SPDX-License-Identifier: Apache-2.0
"""Whoever asks for a second verifier gets it, or a refusal; never our own checks alone."""

from __future__ import annotations

import pytest
from in_process import invoke

from modelseal.errors import UsageError
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedKey
from modelseal.trust import keys
from modelseal.verification.believed import Believed, TrustedKey
from modelseal.verification.verifier import Verifier


@pytest.fixture
def key(tmp_path):
    assert invoke("key", "generate", tmp_path / "k.key").exit_code == 0
    return tmp_path / "k.pub"


@pytest.mark.parametrize("verifier", ["sigstore", "both"])
def test_keys_are_refused(verifier, key, tmp_path):
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    assert invoke("sign", model, "--key", key.with_suffix(".key")).exit_code == 0
    done = invoke("verify", model, "--key", key, "--verifier", verifier)
    assert (done.exit_code, "[verifier-identities-only]" in done.output) == (2, True)
    signer = AcceptedKey("release", keys.load_public(key))
    with pytest.raises(UsageError):
        Policy.for_signers([signer], verifier=verifier)
    believed = Believed(keys=(TrustedKey(signer.key),), checks=verifier)
    data = (tmp_path / "model.sigstore.json").read_bytes()
    with pytest.raises(UsageError):
        Verifier().authenticate(data, believed)


@pytest.mark.parametrize("verifier", ["sigstore", "both"])
def test_the_second_verifier_is_asked(verifier, site, tmp_path, monkeypatch):
    """By the command line and by the policy of a server alike."""
    from modelseal.verification import second_opinion  # noqa: PLC0415 - 400 ms

    folder = site.signed(f"asked-{verifier}")
    asked = []
    check = second_opinion.SecondOpinion.check

    def noticed(self, *arguments):
        asked.append(arguments)
        return check(self, *arguments)

    monkeypatch.setattr(second_opinion.SecondOpinion, "check", noticed)
    who = ("--identity", "alice@example.com", "--issuer", site.instance.issuer)
    root = ("--trusted-root", site.instance.trusted_root)
    done = invoke("verify", folder, *who, *root, "--verifier", verifier)
    assert (done.exit_code, len(asked)) == (0, 1), done.output
    policy = tmp_path / "policy.toml"
    policy.write_text(site.policy_text().replace("[trust]", f'[trust]\nverifier = "{verifier}"', 1))
    done = invoke("verify", folder, "--policy", policy)
    assert (done.exit_code, len(asked)) == (0, 2), done.output
