# SPDX-License-Identifier: Apache-2.0
"""What a fetch is pinned to: a small JSON file, to be kept with the code that needs the model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from modelseal import outputs
from modelseal.errors import FormatError, UsageError, shown
from modelseal.files import exists, read_trusted
from modelseal.formats.strict import as_kind, known, member, optional, parse_json

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.formats.oms import Manifest

_LIMIT = 64 * 1024  # bytes
_VERSION = 1


class Pin(NamedTuple):
    """The URI that was asked for, the revision that it was, and the root digest of its files.

    `file` is the name of the one file that the model is.
    """

    uri: str
    revision: str
    root: str
    file: str | None = None

    def check_uri(self, uri: str) -> None:
        """Check that this is the pin of `uri`.

        Raises:
            UsageError: it is that of another ("other-pin").
        """
        if uri != self.uri:
            message = f"The pin is of '{shown(self.uri)}', not of '{shown(uri)}'."
            raise UsageError("other-pin", message, "Name another file with --pin.")

    def check_root(self, manifest: Manifest | None) -> None:
        """Check that these files are those that were pinned.

        Raises:
            FormatError: they are not ("revision-changed").
        """
        root = root_of(manifest)
        if root != self.root:
            raise FormatError(
                "revision-changed",
                f"'{shown(self.uri)}' is signed, but is not what was pinned: its root digest is "
                f"{root}, not {shown(self.root)}.",
                "If that is right, remove the pin and fetch it again.",
            )


def root_of(manifest: Manifest | None) -> str:
    """Return the root digest of a model, as `modelseal digest` prints it.

    Raises:
        FormatError: no signature says what its files are ("nothing-to-pin").
    """
    if manifest is None:
        message = "No signature says what the files of the model are, so there is nothing to pin."
        raise FormatError("nothing-to-pin", message, "Leave out --pin, or have the model signed.")
    return f"sha256:{manifest.root().hex()}"


def load(path: Path) -> Pin | None:
    """Return the pin in the file `path`, None if there is no such file.

    Raises:
        FormatError: it is not a pin ("bad-pin"). Undecided: it cannot be read.
    """
    if not exists(path):
        return None
    try:
        data = parse_json(read_trusted(path, _LIMIT, "pin"), what="pin", limit=_LIMIT)
        return _parsed(as_kind(data, dict, what="pin"))
    except FormatError as error:
        message = f"'{shown(str(path))}' is not a pin: {error.message}"
        raise FormatError("bad-pin", message, "Remove it, and fetch the model again.") from error


def _parsed(document: dict[str, Any]) -> Pin:
    known(document, "pin", "version", *Pin._fields)
    if member(document, "version", int, what="pin") != _VERSION:
        raise FormatError("bad-pin", "It is of another version.")
    uri, revision, root = (
        member(document, name, str, what="pin") for name in ("uri", "revision", "root")
    )
    return Pin(uri, revision, root, optional(document, "file", str, what="pin"))


def save(path: Path, pin: Pin) -> None:
    """Put `pin` into the file `path`.

    Raises:
        UsageError, Undecided: it cannot be written.
    """
    members = {"version": _VERSION, **{k: v for k, v in pin._asdict().items() if v is not None}}
    outputs.write(path, (json.dumps(members, indent=2) + "\n").encode())
