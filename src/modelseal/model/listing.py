# SPDX-License-Identifier: Apache-2.0
"""A manifest as the JSON that `modelseal digest` prints: nobody signed it, sizes are in it.

    {"root": "sha256:...", "serialization": {...}, "files": [{"name", HASH: hex, "size"}, ...]}

`serialization` is that of an OMS predicate. By shards the list is called `shards`, and its names
say the sizes. Without a `serialization` it is by files with SHA-256.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelseal.errors import FormatError
from modelseal.formats import oms
from modelseal.formats.strict import as_kind, member, optional, parse_json
from modelseal.model.manifest import Contents

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 64 * 1024 * 1024  # bytes; larger ones have more than fits into a bundle
_ITEMS = 2_000_000  # JSON values; such a listing has some 1,200,000
_WHAT = "manifest"


def to_dict(contents: Contents) -> dict[str, Any]:
    """Return the listing as plain JSON values."""
    found, sizes = contents.manifest, contents.sizes
    how = found.serialization
    return {
        "root": f"sha256:{found.root().hex()}",
        "serialization": oms.described(found),
        how.method: [_item(resource, how, sizes) for resource in found.resources],
    }


def parse(data: bytes) -> Contents:
    """Return the listing in `data`; digests and sizes are believed.

    Raises:
        FormatError: not such a document, a manifest that OMS does not allow, or a root digest that
            is not that of its files.
    """
    obj = as_kind(parse_json(data, what=_WHAT, limit=LIMIT, items=_ITEMS), dict, what=_WHAT)
    described = optional(obj, "serialization", dict, what=_WHAT)
    how, ignored = (oms.Serialization(), ()) if described is None else oms.as_described(described)
    resources, sizes = [], {}
    for item in member(obj, how.method, list, what=_WHAT):
        file = as_kind(item, dict, what="file")
        name = member(file, "name", str, what="file")
        digest = member(file, how.hash_type, str, what="file")
        resources.append(oms.Resource(name, oms.digest_of(digest, how.hash_type)))
        size = optional(file, "size", int, what="file")
        if size is not None and size < 0:
            raise FormatError("wrong-type", "The size of a file must not be negative.")
        if size is not None:
            sizes[name] = size
    found = oms.manifest(resources, ignored, how)
    if optional(obj, "root", str, what=_WHAT) not in {None, f"sha256:{found.root().hex()}"}:
        raise FormatError("root-mismatch", "The root digest is not that of the listed files.")
    return Contents(found, sizes)


def _item(
    resource: oms.Resource, how: oms.Serialization, sizes: Mapping[str, int]
) -> dict[str, Any]:
    item: dict[str, Any] = {"name": resource.name, how.hash_type: resource.digest.hex()}
    if resource.name in sizes and how.shard_size is None:
        item["size"] = sizes[resource.name]
    return item
