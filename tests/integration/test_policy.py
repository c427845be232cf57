# SPDX-License-Identifier: Apache-2.0
"""Rules of a policy, in place and on admission, over models signed with keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from in_process import invoke
from safetensors.numpy import save_file

import modelseal
from modelseal.admission.admit import admit
from modelseal.errors import PolicyRefused
from modelseal.policy import document
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from pathlib import Path

HEAD = 'version = 1\ndefault = "deny"\n[signers.release]\npublic_key = "k.pub"\n'
RULE = '[[rule]]\nmodels = ["model*"]\nsigners = ["release"]\n'


class Bench:
    """A folder with a key, a model that it signed, and a store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.model, self.store = folder, folder / "model", folder / "store"
        self.model.mkdir()
        save_file({"a": np.arange(3)}, self.model / "model.safetensors")
        (self.model / "config.json").write_text("{}")
        assert invoke("key", "generate", folder / "k.key").exit_code == 0
        self.sign()

    def sign(self, *options) -> None:
        options = (*options, "--key", self.folder / "k.key", "--overwrite")
        done = invoke("sign", self.model, *options)
        assert done.exit_code == 0, done.output

    def policy(self, text: str, head: str = HEAD):
        return document.parse(head + text, self.folder)

    def code(self, text: str, head: str = HEAD) -> str:
        """Return the code of the verdict, which must be the same in place and on admission."""
        policy = self.policy(text, head)
        verdict = modelseal.verify(self.model, policy=policy)
        before = list(self.store.glob("[0-9a-f]*"))
        if verdict:
            copy = admit(self.model, policy, Verifier(), self.store)
            assert copy.verdict.code == verdict.code
            return verdict.code
        with pytest.raises(PolicyRefused, match=verdict.code):
            admit(self.model, policy, Verifier(), self.store)
        assert list(self.store.glob("[0-9a-f]*")) == before, "something refused is in the store"
        return verdict.code


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_key_is_a_signer_like_any_other(bench):
    assert bench.code(RULE) == "accepted"
    other = bench.folder / "other.key"
    assert invoke("key", "generate", other).exit_code == 0
    head = HEAD.replace("k.pub", "other.pub")
    assert bench.code(RULE, head) == "key-mismatch"
    assert bench.code(RULE.replace("model*", "other")) == "no-rule"


def test_the_signer_known_so_far_is_named_when_a_key_was_changed(bench):
    policy = bench.policy(RULE)
    known = policy.signers[0].fingerprint
    assert invoke("key", "generate", bench.folder / "k.key", "--overwrite").exit_code == 0
    bench.sign()
    verdict = modelseal.verify(bench.model, policy=policy)
    assert verdict.code == "key-mismatch"
    assert f"Signers known so far: 'release', {known}" in verdict.hint


@pytest.mark.parametrize(
    ("formats", "code"),
    [
        ('["safetensors", "json"]', "accepted"),
        ('["safetensors"]', "format-not-allowed"),
        ('["json"]', "format-not-allowed"),
    ],
)
def test_formats(bench, formats, code):
    assert bench.code(RULE + f"formats = {formats}\n") == code


def test_a_format_is_looked_at_again_when_the_copy_is_in_the_store(bench):
    assert bench.code(RULE) == "accepted"
    policy = bench.policy(RULE + 'formats = ["json"]\n')
    for unchanged in (False, True):
        with pytest.raises(PolicyRefused, match="format-not-allowed"):
            admit(bench.model, policy, Verifier(), bench.store, unchanged=unchanged)


def test_files_that_may_be_there_unsigned(bench):
    (bench.model / "notes.tmp").write_text("x")
    assert bench.code(RULE) == "digest-mismatch"
    assert bench.code(RULE + 'ignore_unsigned = ["*.log"]\n') == "digest-mismatch"
    policy = RULE + 'ignore_unsigned = ["*.tmp"]\n'
    assert bench.code(policy) == "accepted"
    verdict = modelseal.verify(bench.model, policy=bench.policy(policy))
    assert any("'notes.tmp'" in check.detail for check in verdict.checks)


def test_what_the_signer_left_out(bench):
    bench.sign("--ignore-path", bench.model / "config.json")
    assert bench.code(RULE) == "ignored-not-allowed"
    assert bench.code(RULE + 'allow_ignored = ["*.json"]\n') == "accepted"


def test_pinned_and_revoked_versions(bench):
    verdict = modelseal.verify(bench.model, policy=bench.policy(RULE))
    digest = f"sha256:{verdict.manifest.root().hex()}"
    assert bench.code(RULE + f'digests = ["{digest}"]\n') == "accepted"
    other = "sha256:" + "0" * 64
    revoked = '[[revoked]]\nreason = "backdoor"\ndigest = "{}"\n'
    assert bench.code(RULE + revoked.format(other)) == "accepted"
    assert bench.code(RULE + f'digests = ["{other}"]\n') == "version-not-pinned"
    for one in (digest, f"sha256:{verdict.manifest.resources[0].digest.hex()}"):
        assert bench.code(RULE + revoked.format(one)) == "revoked"


def test_revoked_signers_and_keys(bench):
    revoked = '[[revoked]]\nreason = "stolen"\n'
    assert bench.code(RULE + revoked + 'signer = "release"\n') == "revoked"
    fingerprint = bench.policy(RULE).signers[0].fingerprint
    assert bench.code(RULE + revoked + f'key = "{fingerprint}"\n') == "revoked"
    # Without a trusted time nobody knows whether it was signed before.
    window = 'not_before = 2026-01-01\nsigner = "release"\n'
    assert bench.code(RULE + revoked + window) == "revoked"


@pytest.mark.parametrize(
    "limit", ['max_age = "900w"', "not_before = 2020-01-01", "not_after = 2999-01-01",
              'rollback = "deny"']
)  # fmt: skip
def test_limits_want_a_trusted_time(bench, limit):
    assert bench.code(RULE + limit + "\n") == "no-trusted-time"


def test_links(bench):
    (bench.model / "real.json").write_text("[]")
    (bench.model / "link.json").symlink_to("real.json")
    bench.sign("--allow-symlinks")
    assert bench.code(RULE) == "accepted"
    assert bench.code(RULE + 'symlinks = "deny"\n') == "symlink"


def test_a_warning_lets_anything_through_and_says_what(bench):
    (bench.model / "model.safetensors").write_bytes(b"changed")
    warn = RULE + 'mode = "warn"\n'
    assert bench.code(warn) == "digest-mismatch"
    verdict = modelseal.verify(bench.model, policy=bench.policy(warn))
    assert (verdict.status, verdict.warned) == ("accepted", True)
    assert verdict.to_dict()["warned"]


def test_thresholds_over_keys_and_names(bench):
    assert invoke("key", "generate", bench.folder / "b.key").exit_code == 0
    head = HEAD + '[signers.second]\npublic_key = "b.pub"\n'
    both = '[[rule]]\nmodels = ["*"]\nsigners = ["release", "second"]\nthreshold = 2\n'
    assert bench.code(both, head) == "too-few-signers"
    done = invoke("sign", bench.model, "--key", bench.folder / "b.key", "--add")
    assert done.exit_code == 0, done.output
    assert bench.code(both, head) == "accepted"
    again = HEAD + '[signers.second]\npublic_key = "k.pub"\n'
    assert bench.code(both, again) == "too-few-signers"  # one key under two names is one signer
