# SPDX-License-Identifier: Apache-2.0
"""One bundle before sigstore-python and us, and whether they may differ about it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from forging import bends, differences, oracle, written
from forging.bundles import KINDS, OURS_ONLY, Case

if TYPE_CHECKING:
    from forging.written import Path

TABLE = differences.SIGSTORE_PYTHON
COMPARED = [name for name in bends.BENDS if name not in bends.UNSTEADY]
# What sigstore-python cannot read is held against what it says of the nearest that it can.
LIKE = {
    "statement v2 dsse": "statement v2", "statement v1 intoto": "statement v1",
    "statement v1 hashedrekord": "statement v1", "artifact v2 by P-384": "artifact v2",
    "statement v1 by P-384": "statement v1",
}  # fmt: skip
READ = [kind for kind in KINDS if kind not in OURS_ONLY]

# What we refuse and it does not, of what is bent after it was signed: member, code.
STRICTER = {
    ("keyId", "unknown-log"),  # it compares four bytes of the log's id
    ("logIndex", "not-logged"),  # the proof of a version 2 log is about another entry
    ("integratedTime", "certificate-expired"),  # nobody signed it, and it contradicts the rest
    ("inclusionPromise", "certificate-expired"),  # likewise: the time is left without its promise
    ("integratedTime", "promise-invalid"),  # the promise is left without its time
    ("treeSize", "checkpoint-mismatch"),  # the proof is of another tree than the checkpoint
    ("signedTimestamp", "no-trusted-time"),  # no timestamp is good, a promise is
    (0, "no-trusted-time"),  # likewise: the good timestamp is taken away
}
# What it wants to be there although Protocol Buffers leave out what is zero or empty.
MAY_BE_LEFT_OUT = {
    "logIndex", "hashes", "inclusionPromise", "signedEntryTimestamp", "rfc3161Timestamps",
}  # fmt: skip


def verdicts(kind: str, *names: str) -> tuple[str, str]:
    """Return what we and what sigstore-python say: why not, or nothing for yes."""
    made, reference = KINDS[kind], KINDS[LIKE.get(kind, kind)]
    for name in names:
        made, reference = bends.BENDS[name](made), bends.BENDS[name](reference)
    case = made.build()
    return oracle.ours(case), oracle.sigstore_python(
        case if kind not in OURS_ONLY else reference.build()
    )


def agree(path: Path, mine: str, theirs: str) -> bool:
    """Return whether both say the same of a bundle bent at `path`, or may differ there."""
    if bool(mine) == bool(theirs):
        return True
    if not mine:
        return path[-1] in MAY_BE_LEFT_OUT and "Bundle" in theirs
    # Base64 in one spelling only, wherever it stands (RFC 4648 section 3.5).
    return mine == "not-base64" or (path[-1], mine) in STRICTER


SOME_BENDS = st.sets(st.sampled_from(COMPARED), min_size=2, max_size=3)


@given(kind=st.sampled_from(list(KINDS)), names=SOME_BENDS)
def several_bends(kind: str, names: set[str]) -> None:
    """Fail if the two differ about a bundle with several things wrong, in a way that is new."""
    ordered = tuple(sorted(names))
    try:
        mine, theirs = verdicts(kind, *ordered)
    except ValueError as error:
        assume("not valid after" not in str(error))  # no certificate ends before it starts
        raise
    if bool(mine) != bool(theirs):
        assert mine in differences.allowed(TABLE, ordered), (mine, theirs)


@given(st.data(), st.sampled_from(READ), st.none() | st.sampled_from(COMPARED))
def bent_before_and_after(data: st.DataObject, kind: str, name: str | None) -> None:
    """Fail if they differ about a bundle bent once before it was signed, and once after."""
    case = (bends.BENDS[name](KINDS[kind]) if name else KINDS[kind]).build()
    bundle = copy.deepcopy(case.bundle)
    path = data.draw(st.sampled_from(list(written.leaves(bundle))))
    holder = written.holder(bundle, path)
    choices = list(written.bent(holder[path[-1]]))
    at = data.draw(st.integers(-1, len(choices) - 1))
    if at < 0:
        del holder[path[-1]]
    else:
        holder[path[-1]] = choices[at]
    changed = Case(bundle, case.root, case.what)
    mine, theirs = oracle.ours(changed), oracle.sigstore_python(changed)
    allowed = differences.allowed(TABLE, (name,)) if name else set()
    assert agree(path, mine, theirs) or mine in allowed, (path, mine, theirs)
