# SPDX-License-Identifier: Apache-2.0
"""Every bundle that a release of modelseal wrote verifies for ever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from verifying import check_by

import modelseal
from modelseal.trust import trust_root as trust
from modelseal.trust.keys import load_certificates, load_public
from modelseal.verification.believed import TrustedAuthority, TrustedKey

LEGACY = Path(__file__).parents[1] / "vectors" / "legacy"
KINDS = sorted(path.parent for path in LEGACY.glob("*/*/bundle.json"))


class Legacy:
    """One kind: its bundle, the model as it was signed, and who is believed."""

    def __init__(self, kind: Path, folder: Path) -> None:
        self.kind, self.about = kind, json.loads((kind / "about.json").read_text())
        self.model = shutil.copytree(LEGACY / "model", folder / "model")
        for name, target in self.about.get("links", {}).items():
            (self.model / name).symlink_to(target)
        self.signed = self.model / self.about.get("file", "")

    def verdict(self):
        bundle, root = self.kind / "bundle.json", self.kind / "trusted_root.json"
        if "identity" in self.about:
            return modelseal.verify(
                self.signed, bundle=bundle, trust=root,
                identity=self.about["identity"], issuer=self.about["issuer"],
            )  # fmt: skip
        witnesses = trust.choose(trusted_root=root) if root.exists() else None
        if (self.kind / "root.pem").exists():
            believed = TrustedAuthority(load_certificates(self.kind / "root.pem"))
        else:
            believed = TrustedKey(load_public(self.kind / "key.pub"))
        return check_by(self.signed, believed, root=witnesses, bundle=bundle)


@pytest.mark.parametrize("kind", KINDS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_it_verifies_and_notices_a_change(kind, tmp_path):
    legacy = Legacy(kind, tmp_path)
    verdict = legacy.verdict()
    assert verdict, verdict
    assert verdict.not_signed == tuple(legacy.about.get("ignored", ()))
    assert not verdict.signatures[0].notes
    (legacy.model / "a").write_text("changed")
    # An Ed25519 key signs the file itself, so there is no digest to compare first.
    whole = kind.name.startswith("ed25519")
    assert legacy.verdict().code == ("signature-invalid" if whole else "digest-mismatch")


@pytest.mark.parametrize("kind", KINDS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_what_was_left_out_may_change(kind, tmp_path):
    legacy = Legacy(kind, tmp_path)
    (legacy.model / "sub" / "c").write_text("changed")
    whole = "file" not in legacy.about and "ignored" not in legacy.about
    assert legacy.verdict().code == ("digest-mismatch" if whole else "accepted")


def test_two_signatures_count_together(tmp_path):
    legacy = Legacy(LEGACY / "0.1" / "p256-two-signatures", tmp_path)
    shutil.copy(legacy.kind / "bundle.json", legacy.model / "model.sig")
    shutil.copy(legacy.kind / "bundle-2.json", legacy.model / "model.sig.2")
    both = [TrustedKey(load_public(legacy.kind / name)) for name in ("key.pub", "key-2.pub")]
    assert check_by(legacy.model, *both)
    (legacy.model / "model.sig.2").unlink()
    assert check_by(legacy.model, *both).code == "too-few-signers"


@pytest.mark.parametrize("kind", KINDS, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_what_witnesses_saw_is_in_the_verdict(kind, tmp_path):
    verdict = Legacy(kind, tmp_path).verdict()
    words = kind.name.split("-")
    logged = "logged" in words or "keyless" in words
    assert (verdict.log_index is not None) == logged
    assert (verdict.time is not None) == (logged or "timestamped" in words)


def test_they_are_there():
    assert len(KINDS) >= 31
