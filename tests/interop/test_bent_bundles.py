# SPDX-License-Identifier: Apache-2.0
"""Every member of a bundle removed or bent: sigstore-go and our verifier give one verdict.

What they may differ in stands here, and why in docs/verification.md ("Differences").
"""

from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any

import pytest
from forging.written import Path, holder, leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop

# A version 2 entry is made anew from the rest of the bundle, and proved against the checkpoint.
GO_DOES_NOT_READ = {"canonicalizedBody", "rootHash", "treeSize", "kind", "version"}
# The index beside the proof, not the one in it; either way there is only one tree.
GO_READS_ONE_OF_TWO = {"logIndex"}
# The note of the digest, which is a hint and which we can do without.
GO_WANTS = {"messageDigest"}


def bent(value: Any) -> list[Any]:
    if not isinstance(value, str):
        return []
    if value.isdigit():
        return [str(int(value) + 1)]
    try:
        raw = bytearray(b64decode(value, validate=True))
    except ValueError:
        return [value + "x"]
    raw[len(raw) // 2] ^= 1
    return [b64encode(raw).decode()]


def altered(bundle: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in list(leaves(bundle)):
        removed = copy.deepcopy(bundle)
        del holder(removed, path)[path[-1]]
        yield path, removed
        for value in bent(holder(bundle, path)[path[-1]]):
            changed = copy.deepcopy(bundle)
            holder(changed, path)[path[-1]] = value
            yield path, changed


@pytest.mark.parametrize("kind", ["artifact", "statement"])
def test_one_verdict_on_every_altered_bundle(kind, lab, tmp_path):
    bundle = json.loads(lab.signed("modelseal", kind).read_text())
    file = tmp_path / "bundle.json"
    wrong = []
    for path, changed in altered(bundle):
        file.write_text(json.dumps(changed))
        ours, theirs = (lab.verified(who, kind, file) for who in ("modelseal", "sigstore-go"))
        if (ours.returncode == 0) == (theirs.returncode == 0):
            continue
        accepted = ours.returncode == 0
        known = GO_WANTS if accepted else GO_DOES_NOT_READ | GO_READS_ONE_OF_TWO
        if path[-1] not in known:
            wrong.append((path, ours.stdout, theirs.stderr[-200:]))
    assert not wrong, "\n".join(map(str, wrong))
