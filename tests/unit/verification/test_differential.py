# SPDX-License-Identifier: Apache-2.0
"""Our verifier against sigstore-python: one verdict on every altered bundle.

Every member of every kind of bundle is removed, bent, or taken from another bundle; parts of two
signatures are mixed in every way that an attacker, who can sign with a key and a certificate of
their own, could. What the two may differ in stands in tests/helpers/forging/compare.py, and why in
docs/verification.md.
"""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from forging.compare import agree
from forging.written import Path, bent, holder, leaves
from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import UnsafeNoOp
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel
from verifying import proved

from modelseal.errors import ModelSealError
from modelseal.formats import bundle as bundle_format
from modelseal.trust.signature import Prehashed

if TYPE_CHECKING:
    from collections.abc import Iterator

ARTIFACT = Prehashed("sha256", sha256(b"weights").digest())
CASES = [
    ("artifact", "hashedrekord", "0.0.2"), ("statement", "hashedrekord", "0.0.2"),
    ("artifact", "hashedrekord", "0.0.1"), ("statement", "dsse", "0.0.1"),
]  # fmt: skip


def verdicts(bundle: dict[str, Any], trust, what: str) -> tuple[str, str]:
    """Return what we and what sigstore-python say: why not, or nothing for yes."""
    data = json.dumps(bundle).encode()
    try:
        proved(bundle_format.parse(data), trust, ARTIFACT if what == "artifact" else None)
        ours = ""
    except ModelSealError as error:
        ours = error.code
    return ours, reference(data, trust, what)


def reference(data: bytes, trust, what: str) -> str:
    try:
        bundle = Bundle.from_json(data)
        if what == "artifact":
            hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=ARTIFACT.digest)
            verifier(trust).verify_artifact(hashed, bundle, UnsafeNoOp())
        else:
            verifier(trust).verify_dsse(bundle, UnsafeNoOp())
    except Exception as error:  # noqa: BLE001 - it may crash; that is no yes
        return repr(error)
    return ""


@lru_cache
def verifier(trust) -> Verifier:
    return Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(trust.json)))


def altered(bundle: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in list(leaves(bundle)):
        removed = copy.deepcopy(bundle)
        del holder(removed, path)[path[-1]]
        yield path, removed
        values = list(bent(holder(bundle, path)[path[-1]]))
        with suppress(KeyError, IndexError):
            values.append(holder(other, path)[path[-1]])
        for value in values:
            changed = copy.deepcopy(bundle)
            holder(changed, path)[path[-1]] = value
            yield path, changed


@pytest.mark.parametrize(("what", "kind", "version"), CASES)
def test_every_member_bent_in_every_way(what, kind, version, workshop):
    bundle = workshop.bundle(what, kind, version)
    other = workshop.bundle(what, kind, version)
    assert verdicts(bundle, workshop.trust, what) == ("", "")
    wrong = []
    for path, changed in altered(bundle, other):
        mine, theirs = verdicts(changed, workshop.trust, what)
        if not agree(path, mine, theirs):
            wrong.append((path, mine, theirs))
    assert not wrong, "\n".join(map(str, wrong))


PARTS = ("certificate", "tlogEntries", "timestampVerificationData", "content")


@pytest.mark.parametrize(("what", "kind", "version"), CASES)
def test_parts_of_two_signatures_in_every_mixture(what, kind, version, workshop):
    mine, attackers = (workshop.bundle(what, kind, version) for _ in range(2))
    for chosen in product((mine, attackers), repeat=len(PARTS)):
        mixed: dict[str, Any] = {"mediaType": mine["mediaType"], "verificationMaterial": {}}
        for name, source in zip(PARTS[:-1], chosen, strict=False):
            if name in source["verificationMaterial"]:
                mixed["verificationMaterial"][name] = source["verificationMaterial"][name]
        for name in ("messageSignature", "dsseEnvelope"):
            if name in chosen[-1]:
                mixed[name] = chosen[-1][name]
        said = verdicts(mixed, workshop.trust, what)
        assert bool(said[0]) == bool(said[1]), said
        used = [
            source for name, source in zip(PARTS, chosen, strict=True)
            if name == "content" or name in source["verificationMaterial"]
        ]  # fmt: skip
        assert bool(said[0]) == any(source is not used[0] for source in used), said
