# SPDX-License-Identifier: Apache-2.0
"""Every way to make a bundle wrong (or odd) before it is signed, by name.

A bend says who could do it: `attacker` signs with keys of his own and logs whatever he likes in the
honest log; `careless` CAs, logs and authorities sign what they should not; `root` is the operator's
mistake. Each is a function from what is to be made to what is made.
"""

from __future__ import annotations

from forging.bending import Bend, stamp, written
from forging.certificate_bends import ATTACKER, CARELESS_CA, SCTS
from forging.log_bends import CHECKPOINTS, PROOFS, RELOGGED
from forging.root_bends import ROOT, WRITTEN
from forging.signed_bends import CONTENT, TIMESTAMPS

__all__ = ["ATTACKER", "BENDS", "GROUPS", "UNSTEADY", "Bend", "stamp", "written"]

GROUPS: dict[str, dict[str, Bend]] = {
    "attacker": ATTACKER, "certificate": CARELESS_CA, "sct": SCTS, "body": RELOGGED,
    "proof": PROOFS, "checkpoint": CHECKPOINTS, "timestamp": TIMESTAMPS, "content": CONTENT,
    "root": ROOT, "bundle": WRITTEN,
}  # fmt: skip
# rfc3161-client looks for the signer in a set: the verdict of sigstore-python is by chance.
UNSTEADY = {"timestamp: certificate and one that bears its number"}
BENDS = {
    f"{group}: {name}": bend for group, found in GROUPS.items() for name, bend in found.items()
}
