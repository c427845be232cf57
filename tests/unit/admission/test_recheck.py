# SPDX-License-Identifier: Apache-2.0
"""A snapshot is judged again by another policy, when its model is gone from where it came from."""

from __future__ import annotations

import shutil

import pytest
from in_process import invoke

from modelseal.admission.admit import admit
from modelseal.admission.recheck import kept_bundles, recheck
from modelseal.policy import document
from modelseal.trust import private_keys
from modelseal.verification.verifier import Verifier

RULE = '[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n'


def sign(model, *, key):
    assert invoke("sign", model, "--key", key).exit_code == 0


def policy_of(folder, key="release", *, rule="", more=""):
    text = (
        f'version = 1\ndefault = "deny"\n[signers.release]\npublic_key = "{key}.pub"\n'
        f"{RULE}{rule}{more}"
    )
    return document.parse(text, folder)


@pytest.fixture
def folder(tmp_path):
    for name in ("release", "other"):
        private_keys.generate(tmp_path / f"{name}.key", "p256")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    return tmp_path


@pytest.fixture
def admitted(folder):
    """Give a snapshot and its bundles, of a model that is gone."""
    model = folder / "model"
    sign(model, key=folder / "release.key")
    snapshot = admit(model, policy_of(folder), Verifier(), folder / "store")
    bundles = kept_bundles(model)
    shutil.rmtree(model)
    return snapshot, bundles


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "accepted"),
        ({"key": "other"}, "key-mismatch"),
        ({"more": '[[revoked]]\nreason = "stolen"\nsigner = "release"\n'}, "revoked"),
        ({"rule": 'digests = ["sha256:' + "0" * 64 + '"]\n'}, "version-not-pinned"),
        ({"rule": 'formats = ["safetensors"]\n'}, "format-not-allowed"),
        ({"rule": 'formats = ["json"]\n'}, "accepted"),
        ({"rule": "threshold = 1\n"}, "accepted"),
    ],
)
def test_by_another_policy(folder, admitted, changes, code):
    assert recheck(*admitted, policy_of(folder, **changes), Verifier()).code == code


def test_a_revoked_file(folder, admitted):
    digest = next(iter(admitted[0].manifest.resources)).digest.hex()
    more = f'[[revoked]]\nreason = "backdoor"\ndigest = "sha256:{digest}"\n'
    assert recheck(*admitted, policy_of(folder, more=more), Verifier()).code == "revoked"


def test_without_bundles_nothing_is_proved(folder, admitted):
    snapshot, _ = admitted
    assert recheck(snapshot, (), policy_of(folder), Verifier()).code == "unsigned"


def test_bundles_of_another_model_prove_nothing(folder, admitted):
    snapshot, _ = admitted
    (folder / "model").mkdir()
    (folder / "model" / "other.json").write_text("[]")
    sign(folder / "model", key=folder / "release.key")
    verdict = recheck(snapshot, kept_bundles(folder / "model"), policy_of(folder), Verifier())
    assert verdict.code == "digest-mismatch"


def test_a_rule_that_only_warned_and_now_does_not(folder):
    model = folder / "model"
    warning = policy_of(folder, rule='mode = "warn"\n')
    snapshot = admit(model, warning, Verifier(), folder / "store")
    assert snapshot.verdict.warned
    assert recheck(snapshot, (), warning, Verifier()).warned
    assert recheck(snapshot, (), policy_of(folder), Verifier()).code == "unsigned"
    sign(model, key=folder / "release.key")
    (model / "config.json").write_text("[]")
    changed = admit(model, warning, Verifier(), folder / "store")
    assert changed.verdict.code == "digest-mismatch"
    assert (
        recheck(changed, kept_bundles(model), policy_of(folder), Verifier()).code
        == "digest-mismatch"
    )


def test_a_model_without_bundles_has_none(folder):
    assert kept_bundles(folder / "model") == ()
    assert kept_bundles(folder / "gone") == ()
