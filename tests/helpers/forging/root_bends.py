# SPDX-License-Identifier: Apache-2.0
"""Bends of the trusted root, and of what is written in a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forging import bundles, keys
from forging.bending import (
    Bend,
    made_with,
    root,
    written,
)
from forging.logs import Body, Log, b64

if TYPE_CHECKING:
    from collections.abc import Callable


def _each(name: str, change: Callable[[Body], Any]) -> Bend:
    return root(lambda made: [change(item) for item in made[name]])


def _period(name: str, **period: float) -> Bend:
    return _each(
        name,
        lambda item: item.get("publicKey", item).update(validFor=bundles.period(**period)),
    )


def _others(name: str, *items: Body) -> Bend:
    return root(lambda made: made.update({name: [*items, *made[name]]}))


_LISTS = ("tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities")
ROOT: dict[str, Bend] = {
    **{f"{name} missing": root(lambda made, n=name: made.pop(n)) for name in _LISTS},
    **{f"{name} empty": root(lambda made, n=name: made.update({n: []})) for name in _LISTS},
    **{
        f"{name} twice": root(lambda made, n=name: made.update({n: made[n] * 2})) for name in _LISTS
    },
    **{f"{name} ends at the timestamp": _period(name, end=5) for name in _LISTS},
    **{f"{name} ends before": _period(name, end=-1) for name in _LISTS},
    **{f"{name} begins at the timestamp": _period(name, start=5) for name in _LISTS},
    **{f"{name} begins after": _period(name, start=7) for name in _LISTS},
    "keys of logs swapped": root(
        lambda made: made["tlogs"][0].update(publicKey=made["tlogs"][2]["publicKey"])
    ),
    "keys of all logs are one": _each(
        "tlogs", lambda item: item.update(bundles.log_key(Log("v1", "x"), "https://x.test"))
    ),
    "log of a stranger": _each(
        "tlogs", lambda item: item["publicKey"].update(
            rawBytes=b64(keys.spki(keys.key("P256", "nobody"))),
            keyDetails=keys.DETAILS["P256"],
        )
    ),
    "details of another key": _each(
        "tlogs", lambda item: item["publicKey"].update(keyDetails=keys.DETAILS["P384"])
    ),
    "details of another curve": root(
        lambda made: [
            item["publicKey"].update(keyDetails=keys.DETAILS["P384"])
            for item in made["tlogs"]
            if item["publicKey"]["keyDetails"] == keys.DETAILS["P256"]
        ]
    ),
    "details unknown": _each(
        "tlogs", lambda item: item["publicKey"].update(keyDetails="ML_DSA_65")
    ),
    "CT logs of a stranger": root(
        lambda made: made.update(ctlogs=[bundles.ct_key("attacker")])
    ),
    "CA of a stranger": root(
        lambda made: made.update(certificateAuthorities=[bundles.authority("attacker", "ca")])
    ),
    "CA of a stranger first": _others(
        "certificateAuthorities", bundles.authority("attacker", "ca")
    ),
    "TSA of a stranger": root(
        lambda made: made.update(timestampAuthorities=[bundles.authority("attacker", "tsa")])
    ),
    "TSA of a stranger first": _others(
        "timestampAuthorities", bundles.authority("attacker", "tsa")
    ),
    "CA and TSA swapped": root(
        lambda made: made.update(
            certificateAuthorities=made["timestampAuthorities"],
            timestampAuthorities=made["certificateAuthorities"],
        )
    ),
    "CA without its intermediate": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].pop(0)
    ),
    "CA without its root": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].pop()
    ),
    "CA in another order": _each(
        "certificateAuthorities", lambda item: item["certChain"]["certificates"].reverse()
    ),
    "TSA without its root": _each(
        "timestampAuthorities", lambda item: item["certChain"]["certificates"].pop()
    ),
    "TSA without its signer": _each(
        "timestampAuthorities", lambda item: item["certChain"]["certificates"].pop(0)
    ),
    "log of another host": _each(
        "tlogs", lambda item: item.update(baseUrl="https://elsewhere.test")
    ),
    "log without host": _each("tlogs", lambda item: item.update(baseUrl="")),
    "log with a port and a path": _each(
        "tlogs", lambda item: item.update(baseUrl=item["baseUrl"] + ":444/x")
    ),
}  # fmt: skip

WRITTEN: dict[str, Bend] = {
    "unknown member": written(lambda made: made.update(extra=1)),
    "version 0.1": made_with(media="0.1"),
    "version 0.2": made_with(media="0.2"),
    "version 0.3, the old name": made_with(media="0.3 old"),
    "version 0.4": written(
        lambda made: made.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json")
    ),
    "no entry": written(lambda made: made["verificationMaterial"].update(tlogEntries=[])),
    "two entries": written(
        lambda made: made["verificationMaterial"].update(
            tlogEntries=made["verificationMaterial"]["tlogEntries"] * 2
        )
    ),
    "no proof": written(
        lambda made: made["verificationMaterial"]["tlogEntries"][0].pop("inclusionProof")
    ),
    "no checkpoint": written(
        lambda made: made["verificationMaterial"]["tlogEntries"][0]["inclusionProof"].pop(
            "checkpoint"
        )
    ),
    "a key beside the certificate": written(
        lambda made: made["verificationMaterial"].update(publicKey={"hint": "x"})
    ),
}
