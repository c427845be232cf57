# SPDX-License-Identifier: Apache-2.0
"""Every bundle that a release of modelseal wrote verifies for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelseal.policy.verify import check_managed
from modelseal.seal.keys import load_public
from modelseal.seal.managed import TrustedKey

LEGACY = Path(__file__).parents[1] / "vectors" / "legacy"
BUNDLES = sorted(LEGACY.glob("*/*/bundle.json"))


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda p: f"{p.parts[-3]}-{p.parts[-2]}")
def test_it_verifies_and_notices_a_change(bundle, tmp_path):
    model = shutil.copytree(LEGACY / "model", tmp_path / "model")
    signed = model / "a" if bundle.parent.name in {"p256-one-file", "p256-artifact"} else model
    believed = TrustedKey(load_public(bundle.parent / "key.pub"))
    verdict = check_managed(signed, believed, None, bundle)
    assert verdict, verdict
    (model / "a").write_text("changed")
    assert check_managed(signed, believed, None, bundle).code == "digest-mismatch"


def test_they_are_there():
    assert len(BUNDLES) >= 10
