# SPDX-License-Identifier: Apache-2.0
"""What auditors may ask the certificate transparency log (RFC 6962 section 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.errors import FormatError
from modelseal.formats import merkle
from modelseal.formats.strict import b64decode, b64encode
from modelseal.instance.ctlog import LOG, CtLog
from modelseal.instance.refused import Refused
from modelseal.instance.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")
_MAX_ENTRIES = 256
_SHA256_ECDSA = b"\x04\x03"


def answer(log: CtLog, name: str, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """Return the answer to the request `name` (one of NAMES).

    Raises:
        FormatError: a parameter is missing or not of its form.
        Refused: the log has no such leaf or tree.
    """
    with log.database.reading() as connection:
        tree = Tree(connection, LOG)
        if name == "get-sth":
            return _signed_head(log, tree, now)
        return _QUERIES[name](tree, query)


def _signed_head(log: CtLog, tree: Tree, now: float) -> dict[str, Any]:
    size, timestamp = tree.size(), int(now * 1000)
    root = tree.root(size)
    signed = b"\x00\x01" + timestamp.to_bytes(8, "big") + size.to_bytes(8, "big") + root
    signature = log.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    digitally_signed = _SHA256_ECDSA + len(signature).to_bytes(2, "big") + signature
    return {
        "tree_size": size,
        "timestamp": timestamp,
        "sha256_root_hash": b64encode(root),
        "tree_head_signature": b64encode(digitally_signed),
    }


def _consistency(tree: Tree, query: Mapping[str, str]) -> dict[str, Any]:
    first, second = _number(query, "first"), _number(query, "second")
    if not first <= second <= tree.size():
        raise Refused(400, "bad-range", "The log has no such trees.")
    proof = merkle.consistency_proof(first, second, tree.node)
    return {"consistency": [b64encode(item) for item in proof]}


def _inclusion(tree: Tree, query: Mapping[str, str]) -> dict[str, Any]:
    size = _number(query, "tree_size")
    position = tree.position(b64decode(query.get("hash", ""), what="leaf hash"))
    if position is None or not position < size <= tree.size():
        raise Refused(404, "not-found", "That tree has no such leaf.")
    proof = merkle.inclusion_proof(position, size, tree.node)
    return {"leaf_index": position, "audit_path": [b64encode(item) for item in proof]}


def _entries(tree: Tree, query: Mapping[str, str]) -> dict[str, Any]:
    first, last = _number(query, "start"), _number(query, "end")
    if not first <= last or first >= tree.size():
        raise Refused(400, "bad-range", "The log has no such leaves.")
    bodies = tree.bodies(first, min(last - first + 1, _MAX_ENTRIES))
    return {"entries": [{"leaf_input": b64encode(body), "extra_data": ""} for body in bodies]}


_QUERIES = {
    "get-sth-consistency": _consistency,
    "get-proof-by-hash": _inclusion,
    "get-entries": _entries,
}
NAMES = ("get-sth", *_QUERIES)


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not _DECIMAL.fullmatch(text):
        raise FormatError("bad-request", f"The parameter {name!r} must be a number.")
    return int(text)
