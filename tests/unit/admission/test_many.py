# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import modelseal
from modelseal.admission import many
from modelseal.admission.many import _WORTH_IT, check_all
from modelseal.model.digests import Reading
from modelseal.policy.rules import Policy
from modelseal.trust import embedded as roots
from modelseal.trust.trust_root import TrustRoot
from modelseal.verification.verifier import Verifier

MODEL = Path(__file__).parents[2] / "vectors" / "model-signing" / "v1.1.0"
ROOT = TrustRoot(roots.embedded(roots.PUBLIC_GOOD), "public good")
STRANGER = Policy.for_signer("nobody@example.com", "https://issuer.example")


@pytest.mark.parametrize("count", [3, _WORTH_IT + 9])
def test_verdicts_come_in_the_order_of_the_models(count, tmp_path):
    empty = tmp_path / "unsigned"
    empty.mkdir()
    paths = [MODEL] * (count - 1) + [empty]
    verdicts = check_all(paths, STRANGER, Verifier(ROOT))
    assert [verdict.model for verdict in verdicts] == [str(path) for path in paths]
    assert [verdict.code for verdict in verdicts] == ["identity-mismatch"] * (count - 1) + [
        "unsigned"
    ]


@pytest.mark.parametrize("beside", [True, False])
def test_no_process_with_threads_is_forked(monkeypatch, beside):
    forked = []
    os.register_at_fork(after_in_parent=lambda: forked.append(1))
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    if beside:
        thread.start()
    else:
        monkeypatch.setattr(many, "has_threads", lambda: False)  # pytest may have some
    try:
        verdicts = check_all([MODEL] * _WORTH_IT, STRANGER, Verifier(ROOT), Reading(workers=2))
    finally:
        done.set()
    assert {verdict.code for verdict in verdicts} == {"identity-mismatch"}
    assert bool(forked) is not beside


@pytest.mark.parametrize("count", [1, _WORTH_IT])
def test_a_path_that_does_not_exist_keeps_the_verdicts_of_the_others(count, tmp_path):
    root = tmp_path / "root.json"
    root.write_bytes(ROOT.json)
    *others, missing = modelseal.verify_all(
        [MODEL] * count + [tmp_path / "missing"],
        identity="a@example.com", issuer="https://issuer.example", trust=root,
    )  # fmt: skip
    assert {verdict.code for verdict in others} == {"identity-mismatch"}
    assert (missing.status, missing.code) == ("undecided", "not-found")
