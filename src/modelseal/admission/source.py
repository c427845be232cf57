# SPDX-License-Identifier: Apache-2.0
"""The hostile side of an admission: the files of a model, listed, hashed, copied."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from modelseal.admission import store as place
from modelseal.errors import Unverified, shown
from modelseal.formats import oms
from modelseal.model import names, tree
from modelseal.model.hashing import SinkError, resources
from modelseal.model.manifest import Contents, read, renamed

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.model.hashing import Progress
    from modelseal.model.scope import Scope
    from modelseal.verification.authenticate import Authenticated

_SINK = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def expected(source: Path, found: Authenticated, *, folder: bool) -> oms.Manifest:
    """Return the manifest that the files at `source` must have.

    What the signer called a single file does not matter, a model may be renamed.

    Raises:
        Unverified: a folder with the signature of a file, or the other way round.
        FormatError: a name that is not UTF-8.
    """
    signed: oms.Manifest | None = found.manifest
    if folder and found.kind == "artifact":
        signed = None
    elif not folder:
        signed = renamed(found.manifest, oms.check_name(names.from_disk(source.name)))
    if signed is None:
        what = "one file" if folder else f"{len(found.manifest.file_names())} files"
        raise Unverified(
            "wrong-kind",
            f"The bundle signs {what}, which is not what '{shown(source.name)}' is.",
            "Verify what was signed.",
        )
    return signed


def sizes(root: tree.Root, scope: Scope) -> dict[str, int]:
    """Return the bytes of the files by name, opening but not reading them."""
    return {file.name: file.size for file in tree.walk(root, scope)}


def hashed(
    root: tree.Root, scope: Scope, how: oms.Serialization, progress: Progress | None
) -> Contents:
    """Return the files as they lie there, each byte of those that were signed read once."""
    return read(root, scope, how, partial(resources, how=how, progress=progress))


def copied(
    root: tree.Root, scope: Scope, how: oms.Serialization, into: Path, progress: Progress | None
) -> Contents:
    """Return the bytes that were put into the folder `into`, read once.

    A file that was not signed is not copied. A link that may be followed is copied as what it
    leads to.

    Raises:
        FormatError, Undecided: see `tree.walk` and `hashing.resources`; the store is full.
    """
    return read(root, scope, how, partial(_copied, how=how, into=into, progress=progress))


def _copied(
    file: tree.OpenFile, how: oms.Serialization, into: Path, progress: Progress | None
) -> list[oms.Resource]:
    target = into / names.to_disk(file.name)
    with place.translated(into.parent):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sink = os.open(target, _SINK, 0o400)
    try:
        found = resources(file, how, progress, sink)
        with place.translated(into.parent):
            os.fsync(sink)
    except SinkError as error:
        raise place.cannot_write(error.cause, into.parent) from error
    finally:
        os.close(sink)
    return found
