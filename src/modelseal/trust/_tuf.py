# SPDX-License-Identifier: Apache-2.0
"""Begin to trust an instance, by the client of The Update Framework (TUF).

Trust begins with a root.json that came from the operator, or whose SHA-256 did. From then on TUF
follows it: each later root is signed by the keys of the one before.
"""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient import Updater, UpdaterConfig, Urllib3Fetcher

from modelseal.errors import FormatError, ModelSealError, Undecided, Unverified, UsageError, shown
from modelseal.files import exists
from modelseal.formats import trusted_root
from modelseal.formats.strict import as_kind, parse_json
from modelseal.trust import instances, published

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.trust.published import Folders

ROOT_LIMIT = 512_000  # bytes, as TUF clients have it
_MAX_VERSIONS = 256  # likewise
_TRUSTED_ROOT, _SIGNING_CONFIG = "trusted_root.json", "signing_config.v0.2.json"
_FINGERPRINT = re.compile(r"(?:sha256)?([0-9a-f]{64})")
_CODE = "tuf-root"
_HINT = "Get root.json from the operator of the instance: modelseal instance root --out root.json"

# What people give in place of a TUF root, by the start of its media type.
_OTHER_KINDS = {
    "application/vnd.dev.sigstore.trustedroot": (
        "a Sigstore trusted root", "Give it to --trusted-root: it needs no `trust add`.",
    ),
    "application/vnd.dev.sigstore.clienttrustconfig": (
        "a trust config", "Give it to --trust-config: it needs no `trust add`.",
    ),
    "application/vnd.dev.sigstore.signingconfig": ("a signing config", ""),
    "application/vnd.dev.sigstore.bundle": ("a bundle", ""),
}  # fmt: skip


def parse_fingerprint(text: str) -> str:
    """Return the SHA-256 in `text` as lower-case hex.

    Raises:
        UsageError: it is not one.
    """
    match = _FINGERPRINT.fullmatch(text.strip().lower().replace(":", ""))
    if match is None:
        message = f"'{shown(text)}' is not a SHA-256 fingerprint, which has 64 hex digits."
        hint = "The operator prints it with: modelseal instance root --fingerprint"
        raise UsageError("bad-fingerprint", message, hint)
    return match[1]


def check_root(data: bytes, source: str) -> None:
    """Check that `data`, from `source`, is a TUF root that enough of its own keys signed.

    Raises:
        FormatError: it is something else, or is not signed so ("tuf-root").
    """
    _check_kind(data, source)
    try:
        metadata: Metadata[Root] = Metadata.from_bytes(data)
        metadata.signed.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        message = f"'{shown(source)}' is not signed by its own keys: {shown(str(error))}."
        raise FormatError(_CODE, message, _HINT) from error


def _check_kind(data: bytes, source: str) -> None:
    what = "TUF root"
    try:
        obj = as_kind(parse_json(data, what=what, limit=ROOT_LIMIT), dict, what=what)
    except FormatError as error:
        raise FormatError(_CODE, f"'{shown(source)}' is not a TUF root.", _HINT) from error
    media_type = str(obj.get("mediaType"))
    for start, (kind, hint) in _OTHER_KINDS.items():
        if media_type.startswith(start):
            raise FormatError(_CODE, f"'{shown(source)}' is {kind}, not a TUF root.", hint or _HINT)
    signed = obj.get("signed")
    role = signed.get("_type") if isinstance(signed, dict) else None
    if role != Root.type:
        what = f"TUF metadata of the role '{shown(str(role))}'" if role else "something else"
        raise FormatError(_CODE, f"'{shown(source)}' is {what}, not a TUF root.", _HINT)


def find_root(url: str, fingerprint: str) -> bytes:
    """Return the root of the instance at `url` whose SHA-256 is `fingerprint`.

    Nothing of what else it serves is looked at.

    Raises:
        Unverified: it serves no such root. Undecided: it does not answer.
    """
    fetcher = Urllib3Fetcher(app_user_agent="modelseal")
    for version in range(1, _MAX_VERSIONS):
        try:
            data: bytes = fetcher.download_bytes(f"{url}/{version}.root.json", ROOT_LIMIT)
        except DownloadHTTPError as error:
            if version == 1 or error.status_code not in {403, 404}:
                raise _unreachable(f"the instance {shown(url)}", error) from error
            break
        except DownloadError as error:
            raise _unreachable(f"the instance {shown(url)}", error) from error
        if sha256(data).hexdigest() == fingerprint:
            return data
    message = f"No TUF root of '{shown(url)}' has this fingerprint, so nothing of it is believed."
    hint = "Ask the operator for: modelseal instance root --fingerprint"
    raise Unverified("fingerprint-mismatch", message, hint)


def refresh(url: str, name: str) -> None:
    """Fetch what the trusted instance at `url` publishes today; people call it `name`.

    Raises:
        FormatError: it publishes no trusted root. Undecided: it is not trusted, does not answer,
            or TUF does not accept what it publishes.
    """
    if not published.is_trusted(url):
        raise published.not_trusted(name)
    with instances.locked(url):
        where = published.folders(url)
        _update(url, where, where, None)


def add(url: str, root: bytes) -> None:
    """Trust the instance at `url` from now on by the TUF root `root`, which was checked.

    If it is trusted already by the same root, or an earlier or later one, it is refreshed.

    Raises:
        UsageError: it is a public instance, or trusted by another root.
        FormatError: what it publishes is no trusted root.
        Undecided: it does not answer, or `root` is not its root; nothing has changed.
    """
    if url in published.PUBLIC_URLS:
        message = f"'{shown(url)}' is trusted already: its root is part of this release."
        raise UsageError("public-instance", message, "There is nothing to add.")
    where = published.folders(url)
    with instances.locked(url) as scratch:
        try:
            _update(url, scratch, where, root)
            if not published.is_trusted(url):
                _publish(scratch, where)
            elif _roots(scratch) & _roots(where):
                _update(url, where, where, None)
            else:
                raise _another_root(url)
        except OSError as error:
            raise instances.file_error(error, where) from error


def _update(url: str, into: Folders, where: Folders, root: bytes | None) -> None:
    """Bring the folders `into` up to date, beginning with `root` or the one that is there."""
    try:
        for folder in into:
            folder.mkdir(parents=True, exist_ok=True)
        updater = Updater(
            metadata_dir=str(into.metadata), metadata_base_url=url,
            target_dir=str(into.targets), target_base_url=f"{url}/targets/",
            config=UpdaterConfig(app_user_agent="modelseal"), bootstrap=root,
        )  # fmt: skip
        updater.refresh()
        for name in (_TRUSTED_ROOT, _SIGNING_CONFIG):
            _download(updater, name, into.targets)
    except (OSError, DownloadError, RepositoryError) as error:
        raise error_of(error, f"the instance {shown(url)}", where) from error
    trusted_root.parse((into.targets / _TRUSTED_ROOT).read_bytes())


def _download(updater: Updater, name: str, folder: Path) -> None:
    found = updater.get_targetinfo(name)
    if found is None:
        if name == _TRUSTED_ROOT:
            raise RepositoryError(f"there is no {name}")
        return  # an instance to verify with only
    if updater.find_cached_target(found) is None:
        temporary = folder / f".{name}.tmp"
        updater.download_target(found, str(temporary))
        temporary.replace(folder / name)  # at once: others may be reading it


def _publish(scratch: Folders, where: Folders) -> None:
    """Put finished folders into place; the last rename makes the instance a trusted one."""
    pairs = [(scratch.targets, where.targets), (scratch.metadata, where.metadata)]
    for new, final in dict.fromkeys(pairs):  # data and cache may be one folder
        if exists(final):  # left from an instance that is not trusted any more
            shutil.rmtree(final)
        new.rename(final)


def _roots(folders: Folders) -> set[bytes]:
    """Return every TUF root that leads to the one that is believed, and that one."""
    history = (folders.metadata / "root_history").glob("*.root.json")
    return {path.read_bytes() for path in (folders.metadata / "root.json", *history)}


def error_of(error: BaseException, name: str, where: Folders) -> ModelSealError:
    """Return what `error` of a TUF client means, which asked the instance called `name`."""
    if isinstance(error, OSError):
        return instances.file_error(error, where)
    if isinstance(error, RepositoryError):
        return Undecided(
            "tuf-refused",
            f"What {name} publishes is not accepted: {shown(str(error))}.",
            "Ask its operator. If it was made anew: modelseal trust remove URL, then trust add.",
        )
    return _unreachable(name, error)


def _unreachable(name: str, error: BaseException) -> Undecided:
    cause = error.__cause__ or error
    return Undecided(
        "instance-unreachable",
        f"{name[:1].upper()}{name[1:]} does not answer as a TUF repository: {shown(str(cause))}.",
        "Check the URL and the network.",
    )


def _another_root(url: str) -> UsageError:
    return UsageError(
        "another-root",
        f"'{shown(url)}' is trusted already, by another root that does not lead to this one.",
        "If its operator made it anew: modelseal trust remove URL, then trust add.",
    )
