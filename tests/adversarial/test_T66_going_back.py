# SPDX-License-Identifier: Apache-2.0
"""An old version with a known weakness, rightly signed, is put back in the place of a newer one."""

from __future__ import annotations

import json

import pytest
from forge import URL, make_forge

from modelseal.admission.admit import admit
from modelseal.errors import PolicyRefused, Undecided
from modelseal.policy import document
from modelseal.verification.verifier import Verifier

POLICY = f"""\
version = 1
default = "deny"
[signers.alice]
identity = "alice@example.com"
issuer = "{URL}"
[[rule]]
models = ["model.*"]
signers = ["alice"]
rollback = "deny"
[[rule]]
models = ["*"]
signers = ["alice"]
"""


class Bench:
    """Versions of one model, signed at different times, and a store."""

    def __init__(self, folder) -> None:
        forge = make_forge(folder / "data")
        self.folder, self.store = folder, folder / "store"
        self.verifier = Verifier(forge.trust)
        self.policy = document.parse(POLICY, folder)
        self.bundles = {
            name: json.dumps(forge.artifact(name.encode(), certified=-ago, stamped=-ago))
            for name, ago in (("old", 1800), ("newer", 1200), ("newest", 60))
        }

    def admit(self, version, name="model.bin"):
        """Put the version there, and admit it."""
        model = self.folder / name
        model.write_text(version)
        model.with_name(f"{name}.sigstore.json").write_text(self.bundles[version])
        return admit(model, self.policy, self.verifier, self.store)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_no_version_from_before_one_that_was_accepted(bench):
    bench.admit("newer")
    with pytest.raises(PolicyRefused, match="rolled-back"):
        bench.admit("old")
    bench.admit("newer")  # itself is as new as before
    bench.admit("newest")
    for version in ("newer", "old"):
        with pytest.raises(PolicyRefused, match="rolled-back"):
            bench.admit(version)
    bench.admit("newest")


def test_a_refused_version_leaves_no_trace(bench):
    bench.admit("old")
    model = bench.folder / "model.bin"
    model.write_text("changed")
    model.with_name("model.bin.sigstore.json").write_text(bench.bundles["newest"])
    with pytest.raises(PolicyRefused, match="digest-mismatch"):
        admit(model, bench.policy, bench.verifier, bench.store)
    bench.admit("newer")


def test_each_model_has_a_history_of_its_own_and_rules_without_it_none(bench):
    bench.admit("newest")
    bench.admit("old", "model.other")
    for version in ("newest", "old"):
        bench.admit(version, "free.bin")


@pytest.mark.parametrize("data", ["", "{}", '{"signed": "yesterday"}', '{"signed": 1}'])
def test_a_damaged_history_is_no_permission(bench, data):
    bench.admit("newest")
    (record,) = (bench.store / ".accepted").iterdir()
    record.write_text(data)
    with pytest.raises(Undecided):
        bench.admit("old")
