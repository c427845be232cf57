# SPDX-License-Identifier: Apache-2.0
"""The instances of Sigstore that this machine trusts; no network here.

What TUF keeps of each lies where sigstore-python keeps it, so that both trust the same instances:

    DATA/sigstore-python/tuf/URL/root.json             the TUF root that is believed; with it gone,
                                                       the instance is not trusted any more
    DATA/sigstore-python/tuf/URL/root_history/         that root and all before it
    DATA/sigstore-python/tuf/URL/timestamp.json, ...   the metadata last seen
    CACHE/sigstore-python/tuf/URL/trusted_root.json    what the instance published
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from modelseal import home
from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown
from modelseal.files import exists, of_os_error, read_trusted
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.trust import published, trust_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.trust.trust_root import TrustRoot

_LIMIT = 1024 * 1024  # bytes of a TUF metadata file
_PUBLIC = {published.PUBLIC_GOOD_URL: "public-good", published.STAGING_URL: "staging"}


class TufRoot(NamedTuple):
    """The TUF root that is believed; `sha256` is the fingerprint of the file."""

    version: int
    expires: datetime
    sha256: str


class Instance(NamedTuple):
    """What this machine knows of an instance; None is what it has not seen, or cannot read.

    Until `current_until` TUF calls the trusted root current, as last seen.
    """

    url: str
    name: str | None  # of a public instance
    tuf_root: TufRoot | None
    current_until: datetime | None
    trusted_root: TrustRoot | None


def known() -> list[Instance]:
    """Return the instances that are trusted: the public ones, then all others by URL.

    Raises:
        Undecided: the folder of the others cannot be read.
    """
    return [look_up(url) for url in (*_PUBLIC, *sorted(set(_added()) - set(_PUBLIC)))]


def look_up(url: str) -> Instance:
    """Return what is known of the instance at `url`."""
    try:
        metadata = published.folders(url).metadata
        tuf_root, current_until = _tuf_root(metadata / "root.json"), _current_until(metadata)
    except ModelSealError:  # no home folder: only what is in this release is known
        tuf_root = current_until = None
    try:
        root = trust_root.choose(instance=url)
    except ModelSealError:  # whoever verifies with it is told why
        root = None
    return Instance(url, _PUBLIC.get(url), tuf_root, current_until, root)


def forget(url: str) -> None:
    """Stop trusting the instance at `url`.

    Raises:
        UsageError: it is a public one, or is not trusted. Undecided: it cannot be removed.
    """
    if url in _PUBLIC:
        message = f"'{shown(url)}' is a public instance, whose root is part of this release."
        hint = "To believe another one, use --instance, --trust-config or --trusted-root."
        raise UsageError("public-instance", message, hint)
    where = published.folders(url)
    with locked(url) as scratch:
        if not exists(where.metadata) and not exists(where.targets):
            message = f"This machine does not trust '{shown(url)}'."
            raise UsageError("instance-not-trusted", message, "See: modelseal trust list")
        try:
            if exists(where.metadata):
                where.metadata.rename(scratch.metadata)  # at once, unlike the removal of a tree
            if exists(where.targets):
                shutil.rmtree(where.targets)
        except OSError as error:
            raise file_error(error, where) from error


@contextmanager
def locked(url: str) -> Iterator[published.Folders]:
    """Keep other processes from changing what is known of the instance at `url`.

    Gives two folders that do not exist, beside those of the instance; what is put there is removed
    at the end. A file system that has no locks does without.

    Raises:
        Undecided: the folder of the user cannot be written.
    """
    where = published.folders(url)
    name = f".{sha256(url.encode()).hexdigest()[:16]}"
    scratch = published.Folders(*(folder.parent / f"{name}.tmp" for folder in where))
    lock = where.metadata.parent / f"{name}.lock"
    try:
        for folder in where:
            folder.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise file_error(error, where) from error
    try:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX)
        _remove(scratch)  # what a process left that was killed
        yield scratch
    finally:
        _remove(scratch)
        os.close(fd)


def file_error(error: OSError, where: published.Folders) -> Undecided:
    """Return what `error` means, which came from one of the folders `where`."""
    name = error.filename2 or error.filename  # the second is the one that is written
    if isinstance(name, str) and _is_on_the_way(Path(name), where.targets.parent):
        return home.unusable(error, where.targets, "cache")
    if isinstance(name, str) and _is_on_the_way(Path(name), where.metadata.parent):
        kept = where.metadata.parents[1]
        hint = (
            f"Make it writable; or copy '{shown(str(kept))}', which says what is trusted, into a "
            f"folder that is, and set {home.VARIABLES['data']} to that folder."
        )
        return home.unusable(error, where.metadata, "data", hint)
    return of_os_error(error)


def _is_on_the_way(path: Path, folder: Path) -> bool:
    """Return whether `path` is in `folder` or above it."""
    return path.is_relative_to(folder) or folder.is_relative_to(path)


def _remove(scratch: published.Folders) -> None:
    for folder in scratch:
        shutil.rmtree(folder, ignore_errors=True)


def _added() -> list[str]:
    """Return the URLs of the instances that somebody chose to trust."""
    try:
        folder = published.folders(published.PUBLIC_GOOD_URL).metadata.parent
    except Undecided:  # without a home folder nobody could
        return []
    try:
        names = [path.name for path in folder.iterdir()] if exists(folder) else []
    except OSError as error:
        raise home.unusable(error, folder, "data") from error
    urls = [unquote(name) for name in names if not name.startswith(".")]
    return [url for url in urls if url.startswith("http") and published.is_trusted(url)]


def _tuf_root(path: Path) -> TufRoot | None:
    try:
        # A link that TUF made: it leads to the version in root_history.
        data = read_trusted(path, _LIMIT, "TUF root")
        signed = _signed(data)
        version = member(signed, "version", int, what="TUF root")
        return TufRoot(version, _expires(signed), sha256(data).hexdigest())
    except ModelSealError:
        return None


def _current_until(metadata: Path) -> datetime | None:
    try:
        return _expires(_signed(read_trusted(metadata / "timestamp.json", _LIMIT, "timestamp")))
    except ModelSealError:
        return None


def _signed(data: bytes) -> dict[str, Any]:
    what = "TUF metadata"
    obj = as_kind(parse_json(data, what=what, limit=_LIMIT), dict, what=what)
    return member(obj, "signed", dict, what=what)


def _expires(signed: dict[str, Any]) -> datetime:
    text = member(signed, "expires", str, what="TUF metadata")
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise FormatError("tuf-root", "The TUF metadata has no readable date.") from error
