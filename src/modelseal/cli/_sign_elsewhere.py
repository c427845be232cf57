# SPDX-License-Identifier: Apache-2.0
"""Sign models in buckets: their objects are read once, and nothing is kept on this machine."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, cast

from modelseal.errors import Undecided, UsageError, shown
from modelseal.formats import oms
from modelseal.model.bundles import BUNDLE_NAME, FILE_SUFFIX, is_folders_bundle
from modelseal.model.scope import DEFAULT_IGNORED
from modelseal.signing.plan import SignOptions
from modelseal.signing.sign import sign_all
from modelseal.sources import uri as uris

if TYPE_CHECKING:
    from modelseal.signing.signed import Signed
    from modelseal.signing.signers import Signer
    from modelseal.sources.base import Count, Object, Resolved
    from modelseal.sources.bucket import At
    from modelseal.trust.choice import Trust

_AT_ONCE = 8  # objects


class Elsewhere(NamedTuple):
    """A model in a bucket that was signed, and the URI of its bundle."""

    uri: str
    bundle: str
    signed: Signed


def sign_elsewhere(
    uri: str,
    signer: Signer | None,
    token: str | None,
    trust: Trust,
    count: Count,
    *,
    overwrite: bool,
) -> Elsewhere:
    """Sign the objects at `uri` as an OpenSSF model signature, and put it beside them.

    Raises:
        UsageError: it is in no bucket, or signed already ("already-exists").
        FormatError, Undecided: an object changed meanwhile; it cannot be read or written.
    """
    source = _bucket(uri)
    before = source.resolve()
    name = f"{before.name}{FILE_SUFFIX}" if before.is_file else BUNDLE_NAME
    if name in {one.name for one in before.objects} and not overwrite:
        message = f"'{shown(uri)}' is signed already: it has '{shown(name)}'."
        raise UsageError("already-exists", message, "Use --overwrite to replace it.")
    known = _manifest(source, before, count)
    with tempfile.TemporaryDirectory(prefix="modelseal-") as folder:
        bundle = Path(folder) / name
        (signed,) = sign_all(
            [Path(folder) / "model" / before.name], identity_token=token, trust=trust,
            bundle=bundle, signer=signer, options=SignOptions(known=known),
        )  # fmt: skip
        if _signable(_bucket(uri).resolve()) != _signable(before):
            message = f"Objects at '{shown(uri)}' changed while they were read."
            raise Undecided("changed-while-reading", message, "Try again when nobody writes there.")
        where = source.upload(name, bundle.read_bytes(), overwrite=overwrite)
    return Elsewhere(uri, where, signed)


def _bucket(uri: str) -> At:
    source = uris.at(uri)
    if not hasattr(source, "upload"):
        message = f"'{shown(uri)}' cannot be signed where it is."
        raise UsageError("bad-options", message, "Sign it here, then upload it with its signature.")
    return cast("At", source)


def _signable(resolved: Resolved) -> tuple[Object, ...]:
    """Return what is signed of the model: all but a checkout's own files and the signatures."""
    if resolved.is_file:
        return tuple(one for one in resolved.objects if one.name == resolved.name)
    return tuple(
        one
        for one in resolved.objects
        if one.name.partition("/")[0] not in DEFAULT_IGNORED and not is_folders_bundle(one.name)
    )


def _manifest(source: At, resolved: Resolved, count: Count) -> oms.Manifest:
    """Return the manifest of the objects, each of them read once, several at a time."""
    lock = Lock()

    def counted(more: int) -> None:
        with lock:
            count(more)

    objects = _signable(resolved)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = list(pool.map(partial(_digest, source, count=counted), objects))
    names = (one.name for one in objects)
    resources = [oms.Resource(*pair) for pair in zip(names, digests, strict=True)]
    ignored = () if resolved.is_file else tuple(sorted({*DEFAULT_IGNORED, BUNDLE_NAME}))
    return oms.manifest(resources, ignored)


def _digest(source: At, one: Object, count: Count) -> bytes:
    hasher = sha256()
    for chunk in source.chunks(one):
        hasher.update(chunk)
        count(len(chunk))
    return hasher.digest()
