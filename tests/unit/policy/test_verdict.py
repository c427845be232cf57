# SPDX-License-Identifier: Apache-2.0
"""A verdict is a frozen value with named fields, also across processes and as JSON and HTML."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime

import pytest

from modelseal.errors import FormatError, PolicyRefused, Undecided, UsageError
from modelseal.formats import oms
from modelseal.model.diff import ManifestDiff
from modelseal.policy.verdict import Check, Verdict, from_error
from modelseal.trust.signer import SUBJECT_NAME, Signer
from modelseal.verification.authentic import Authentic, Logged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANIFEST = oms.Manifest((oms.Resource("a", bytes(32)),), (".git", "notes.txt"))
ALICE = Signer("alice@example.com", "https://issuer.example", (("trigger", "push"),))
CARD = Signer(
    "CN=bob", "CN=ca", ((SUBJECT_NAME, "b@x"), (SUBJECT_NAME, "bob.example")), "certificate"
)


def signature(signer, **more):
    return Authentic(signer, "oms", MANIFEST, (NOW,), Logged(7, b"log"), "a root", **more)


VERDICT = Verdict(
    "accepted", "m", "accepted", "Signed by 2.", checks=(Check("rule", passed=True, detail="1"),),
    signatures=(signature(ALICE), signature(CARD), signature(ALICE)), manifest=MANIFEST,
    trust="a root", until=NOW,
)  # fmt: skip


def test_it_cannot_be_changed_and_is_no_tuple():
    for name in ("status", "code", "anything"):
        with pytest.raises(AttributeError):
            setattr(VERDICT, name, "accepted")
    with pytest.raises(AttributeError):
        del VERDICT.status
    with pytest.raises(TypeError):
        iter(VERDICT)
    with pytest.raises(TypeError):
        VERDICT.replace(verdict="accepted")


def test_equal_copied_pickled_hashed():
    other = VERDICT.replace(code="x")
    assert other != VERDICT
    assert (other.code, VERDICT.code) == ("x", "accepted")
    assert VERDICT != "accepted"
    for same in (pickle.loads(pickle.dumps(VERDICT)), copy.deepcopy(VERDICT), VERDICT.replace()):
        assert same == VERDICT
        assert hash(same) == hash(VERDICT)


def test_what_it_says_of_signers():
    assert VERDICT.signer == ALICE
    assert VERDICT.signers == (ALICE, CARD)
    assert (VERDICT.time, VERDICT.kind, VERDICT.log_index) == (NOW, "oms", 7)
    assert VERDICT.not_signed == ("notes.txt",)
    nobody = Verdict("refused", "m", "unsigned", "No signature.")
    assert (nobody.signer, nobody.signers, nobody.time, nobody.log_index) == (None, (), None, None)
    assert nobody.not_signed == ()


def test_as_json():
    said = json.loads(json.dumps(VERDICT.to_dict()))
    assert said["signer"] == said["signers"][0]
    assert [one["kind"] for one in said["signers"]] == ["identity", "certificate"]
    assert said["signers"][1]["claims"] == {SUBJECT_NAME: "b@x, bob.example"}
    assert said["verifies_until"] == NOW.isoformat()
    assert (said["warned"], said["verdict"], said["schema"]) == (False, "accepted", 1)


def test_a_warning_is_seen_in_a_notebook():
    warned = VERDICT.replace(code="digest-mismatch", warned=True, diff=ManifestDiff(("a",)))
    html = warned._repr_html_()
    assert "ACCEPTED WITH A WARNING" in html
    assert "digest-mismatch" in html
    assert "verifies until" in html
    assert "WARNING" not in VERDICT._repr_html_()


def test_what_an_error_means():
    for error, status in ((FormatError("a", "B."), "refused"), (Undecided("c", "D."), "undecided")):
        verdict = from_error("m", error, "a root")
        assert (verdict.status, verdict.code, verdict.trust) == (status, error.code, "a root")
        with pytest.raises((PolicyRefused, Undecided)):
            verdict.raise_for_refusal()
    VERDICT.raise_for_refusal()
    assert from_error("m", PolicyRefused(VERDICT)) is VERDICT
    with pytest.raises(UsageError):
        from_error("m", UsageError("e", "F."))
