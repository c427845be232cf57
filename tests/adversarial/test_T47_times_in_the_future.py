# SPDX-License-Identifier: Apache-2.0
"""A trusted clock that is ahead makes no version the newest for ever, and none young for ever."""

from __future__ import annotations

import json
import os
import time

import pytest
from forge import URL, make_forge

from modelseal.admission.admit import admit
from modelseal.errors import PolicyRefused
from modelseal.policy import document
from modelseal.verification.verifier import Verifier

RULES = ('rollback = "deny"', 'max_age = "1d"', "not_before = 2020-01-01")
DAY = 86_400


@pytest.fixture
def bench(tmp_path):
    """Give a function that admits a file signed some seconds from now, under a rule."""
    forge = make_forge(tmp_path / "data")
    verifier = Verifier(forge.trust)

    def call(name, ahead, rule):
        text = (
            f'version = 1\ndefault = "deny"\n[signers.alice]\nidentity = "alice@example.com"\n'
            f'issuer = "{URL}"\n[[rule]]\nmodels = ["*"]\nsigners = ["alice"]\n{rule}\n'
        )
        model = tmp_path / "model.bin"
        model.write_text(name)
        bundle = forge.artifact(name.encode(), certified=ahead, stamped=ahead)
        (tmp_path / "model.bin.sigstore.json").write_text(json.dumps(bundle))
        os.utime(model, (time.time() + 1000 * DAY,) * 2)  # of which nothing depends
        return admit(model, document.parse(text, tmp_path), verifier, tmp_path / "store")

    return call


@pytest.mark.parametrize("rule", RULES)
def test_a_signature_from_the_future_is_refused(bench, rule):
    with pytest.raises(PolicyRefused) as refused:
        bench("future", 2 * DAY, rule)
    assert refused.value.code == "signed-in-the-future"
    assert bench("now", 0, rule).verdict


def test_clocks_may_differ_a_little(bench):
    assert bench("a little", 60, RULES[0]).verdict
