# SPDX-License-Identifier: Apache-2.0
"""Bundles that were wrong before they were signed, under the eyes of sigstore-go, cosign and js.

The same bends as in tests/unit/verification/test_differential_forged.py: one verdict of sigstore-go
and us, but for the differences that are listed; and what an attacker can do, everybody refuses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from forging import bends, differences, oracle
from forging.bundles import ARTIFACT, KINDS, Case
from forging.issuing import ALICE, ISSUER

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interop

TABLE = differences.SIGSTORE_GO
# sigstore-go has no reader for the first, and wants a statement's own kind of entry for the second.
NOT_READ = {"statement v2 dsse", "statement v1 hashedrekord"}
READ = [kind for kind in KINDS if kind not in NOT_READ]


class Bench:
    """Puts a case before another client, as files and a process."""

    def __init__(self, lab, file_claim, folder: Path) -> None:
        self._lab, self._claim, self._folder = lab, file_claim, folder
        (folder / "artifact").write_bytes(ARTIFACT)

    def asked(self, client: str, case: Case):
        bundle, root = self._folder / "bundle.json", self._folder / "root.json"
        bundle.write_bytes(case.data)
        root.write_text(json.dumps(case.root))
        file = self._folder / "artifact"
        claim = self._claim(file, bundle, root, issuer=ISSUER, identity=ALICE)
        return self._lab.clients[client].verify(claim)


@pytest.fixture
def bench(lab, file_claim, tmp_path) -> Bench:
    return Bench(lab, file_claim, tmp_path)


@pytest.mark.parametrize("kind", READ)
def test_what_is_not_bent_is_accepted(kind, bench):
    case = KINDS[kind].build()
    done = bench.asked("sigstore-go", case)
    assert (oracle.ours(case, subjects=True), done.returncode) == ("", 0), done.stderr


def kinds_for(name: str) -> list[str]:
    """Return all kinds for a known difference, two for the others: one after the other."""
    if name in differences.listed(TABLE):
        return READ
    at = list(bends.BENDS).index(name)
    return [READ[at % len(READ)], READ[(at + 5) % len(READ)]]


@pytest.mark.parametrize("group", bends.GROUPS)
def test_one_verdict_on_every_bend(group, bench):
    wrong, seen = [], set()
    for name in (name for name in bends.BENDS if name.startswith(f"{group}: ")):
        for kind in kinds_for(name):
            case = bends.BENDS[name](KINDS[kind]).build()
            mine, done = oracle.ours(case, subjects=True), bench.asked("sigstore-go", case)
            if bool(mine) == (done.returncode != 0):
                continue
            if mine in differences.allowed(TABLE, (name,)):
                seen.add(name)
            else:
                wrong.append((name, kind, mine, done.stderr[-200:]))
    assert not wrong, "\n".join(map(str, wrong))
    expected = {name for name in differences.listed(TABLE) if name.startswith(f"{group}: ")}
    assert seen == expected  # a difference that is gone is taken off the list


ATTACKS = [
    *(f"attacker: {name}" for name in bends.ATTACKER),
    "certificate: valid until a second before", "sct: SCT by an attacker under a log's id",
    "sct: SCT over another certificate", "body: another signature", "body: another certificate",
    "body: another digest", "proof: a stranger's log under a log's id",
    "proof: promise by a stranger", "checkpoint: by a stranger under the log's hint",
    "checkpoint: root of another", "timestamp: by a stranger", "timestamp: over other bytes",
]  # fmt: skip


@pytest.mark.parametrize("client", ["cosign", "sigstore-js"])
def test_attacks_are_refused_by_everybody(client, bench):
    """One kind after the other; sigstore-js does not compare a statement with an artifact."""
    kinds = ["artifact v2", "artifact v1", "artifact v2 P-256 log"]
    for kind in kinds:
        done = bench.asked(client, KINDS[kind].build())
        assert done.returncode == 0, (kind, done.stderr)
    accepted = []
    for at, name in enumerate(ATTACKS):
        # A version 1 entry brings a time of its own, so there a bad timestamp is none.
        kind = "artifact v2" if name.startswith("timestamp") else kinds[at % len(kinds)]
        case = bends.BENDS[name](KINDS[kind]).build()
        assert oracle.ours(case), name
        if bench.asked(client, case).returncode == 0:
            accepted.append(name)
    # It does not compare the certificate in a version 2 body (docs/verification.md, at the end).
    assert accepted == (["body: another certificate"] if client == "sigstore-js" else [])
