# SPDX-License-Identifier: Apache-2.0
"""Metrics as a file, and what stands in them; the server's endpoint is tested with a server."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from private_ca import Kind, chain, leaf
from prometheus_client.parser import text_string_to_metric_families

from modelseal.errors import UsageError
from modelseal.policy import document
from modelseal.servers import metrics
from modelseal.servers.metrics import OTHERS, Decided, Metrics, write_textfile
from modelseal.verification.verifier import Verifier


def samples(made, tmp_path):
    path = tmp_path / "modelseal.prom"
    made.write(path)
    return read(path)


def read(path):
    families = text_string_to_metric_families(path.read_text())
    return {
        (one.name, *sorted(one.labels.values())): one.value
        for family in families
        for one in family.samples
    }


def test_a_file_has_them_all(tmp_path):
    _, ca = chain(Kind("root"), leaf())
    (tmp_path / "ca.pem").write_bytes(ca.certificate.public_bytes(Encoding.PEM))
    text = (
        'version = 1\ndefault = "deny"\n[signers.vendor]\ncertificate_chain = "ca.pem"\n'
        '[[rule]]\nmodels = ["*"]\nsigners = ["vendor"]\n'
    )
    (tmp_path / "policy.toml").write_text(text)
    policy = document.load(tmp_path / "policy.toml")
    made = Metrics()
    made.decided(Decided("digits", "refused", "digest-mismatch", 2, 100))
    made.decided(Decided("digits", "accepted", "accepted", 1, 7))
    made.policy_in_force(policy, Verifier())
    made.store_has(4096, 1)
    made.models_are(2, 1)
    made.model_unloaded("revoked")
    made.policy_read(usable=False)
    until = datetime(2030, 1, 1, tzinfo=UTC)
    made.expires("signature", until)
    found = samples(made, tmp_path)
    assert found["modelseal_verdicts_total", "digest-mismatch", "digits", "refused"] == 1
    assert found["modelseal_admission_seconds_count", "accepted"] == 1
    assert found["modelseal_hashed_bytes_total",] == 107
    assert found["modelseal_store_bytes",] == 4096
    assert found["modelseal_policy_info", policy.digest] == 1
    assert found["modelseal_policy_reload_successful",] == 0
    assert found["modelseal_policy_reloads_total", "failure"] == 1
    assert found["modelseal_unaccepted_models",] == 1
    assert found["modelseal_unloaded_models_total", "revoked"] == 1
    assert found["modelseal_expiry_timestamp_seconds", "signature"] == until.timestamp()
    end = ca.certificate.not_valid_after_utc.timestamp()
    assert found["modelseal_expiry_timestamp_seconds", "policy_certificate"] == end
    assert found["modelseal_expiry_timestamp_seconds", "trust_root"] == float("inf")


def test_another_policy_takes_the_place_of_the_first(tmp_path):
    made, first = Metrics(), document.parse('version = 1\ndefault = "deny"', Path("/"), digest="a")
    made.policy_in_force(first, Verifier())
    made.policy_in_force(
        document.parse('version = 1\ndefault = "deny"', Path("/"), digest="b"), Verifier()
    )
    found = samples(made, tmp_path)
    assert (found["modelseal_policy_info", "a"], found["modelseal_policy_info", "b"]) == (0, 1)


def test_the_end_of_a_trusted_root(instance):
    root = document.parse(
        f'version = 1\ndefault = "deny"\n[trust]\nroot = "{instance.trusted_root}"', Path("/")
    )
    from modelseal.servers.policy_file import verifier_of  # noqa: PLC0415 - as is

    found = metrics.next_expiry(root, verifier_of(root))
    assert datetime.now(UTC) < found["trust_root"] < datetime.now(UTC) + timedelta(days=40_000)
    assert found["policy_certificate"] is None


def test_whoever_writes_models_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_NAMES", 2)
    made = Metrics()
    for name in ("a", "b", "c", "d", "a"):
        made.decided(Decided(name, "refused", "unsigned"))
    found = samples(made, tmp_path)
    counts = {
        key[1:]: value for key, value in found.items() if key[0] == "modelseal_verdicts_total"
    }
    assert counts == {
        ("a", "refused", "unsigned"): 2, ("b", "refused", "unsigned"): 1,
        tuple(sorted((OTHERS, "refused", "unsigned"))): 2,
    }  # fmt: skip


def test_what_a_server_was_given(tmp_path):
    until = datetime(2030, 1, 1, tzinfo=UTC)
    decisions = [
        Decided("a", "accepted", "accepted", 1, 5, until), Decided("b", "refused", "unsigned"),
    ]  # fmt: skip
    policy = document.parse('version = 1\ndefault = "deny"', Path("/"), digest="sha256:1")
    (tmp_path / "store").mkdir()
    path = tmp_path / "modelseal.prom"
    write_textfile(path, decisions, policy, Verifier(), tmp_path / "store")
    found = read(path)
    assert found["modelseal_expiry_timestamp_seconds", "signature"] == until.timestamp()
    assert (found["modelseal_loaded_models",], found["modelseal_store_copies",]) == (1, 0)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError, match="extra-missing") as missing:
        Metrics()
    assert "modelseal[metrics]" in missing.value.hint
