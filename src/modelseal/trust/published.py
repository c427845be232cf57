# SPDX-License-Identifier: Apache-2.0
"""What instances of Sigstore published, as last seen by TUF on this machine; no network here.

The cache is that of sigstore-python. It is filled by `modelseal trust add`, when signing, by
`verify --refresh`, and by sigstore-python itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from modelseal import home
from modelseal.errors import ModelSealError, Undecided, UsageError, shown
from modelseal.files import exists, read_trusted
from modelseal.formats import trusted_root
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.trust import embedded as roots

PUBLIC_GOOD_URL = "https://tuf-repo-cdn.sigstore.dev"
STAGING_URL = "https://tuf-repo-cdn.sigstage.dev"
_CLIENT = "sigstore-python"
PUBLIC_URLS = (PUBLIC_GOOD_URL, STAGING_URL)
_EMBEDDED = {PUBLIC_GOOD_URL: roots.PUBLIC_GOOD, STAGING_URL: roots.STAGING}
_URL_LIMIT = 200  # characters once quoted, which must be the name of a folder


class Folders(NamedTuple):
    """Where sigstore-python keeps what one instance published: TUF metadata, and its targets."""

    metadata: Path
    targets: Path


def folders(url: str) -> Folders:
    """Return the folders of the instance at `url`; they need not exist.

    Raises:
        Undecided: the user has no home folder ("no-home").
    """
    name = Path("tuf") / quote(url, safe="")
    data, cache = (home.folder(kind, _CLIENT) for kind in ("data", "cache"))
    return Folders(data / name, cache / name)


def is_trusted(url: str) -> bool:
    """Return whether this machine has a root of trust for the instance at `url`.

    Raises:
        Undecided: cannot tell.
    """
    if url in _EMBEDDED:
        return True
    metadata = folders(url).metadata
    # The first is missing for a moment whenever TUF looks for a newer one.
    return exists(metadata / "root.json") or exists(metadata / "root_history")


def cached_root(instance: str | None, *, staging: bool) -> tuple[bytes, str]:
    """Return the trusted root of an instance as last seen, and for people what and how old it is.

    The public instances are known without having been seen, to a user without a home folder too.

    Raises:
        Undecided: this instance is not trusted on this machine, its root was never fetched here,
            or neither can be told.
    """
    url, name = url_of(instance, staging=staging)
    try:
        metadata, targets = folders(url)
        cached = targets / "trusted_root.json"
        is_cached = is_trusted(url) and exists(cached)
    except Undecided:
        if url not in _EMBEDDED:
            raise
        is_cached = False
    if is_cached:
        until = _current_until(metadata / "timestamp.json")
        return read_trusted(cached, trusted_root.LIMIT, "trusted root"), name + until
    if url in _EMBEDDED:
        return roots.embedded(_EMBEDDED[url]), f"{name}, as in this release"
    if is_trusted(url):
        raise Undecided(
            "root-not-cached",
            f"This machine trusts {name}, but has no trusted root of it.",
            "Fetch it once with: modelseal verify --refresh",
        )
    raise not_trusted(name)


def _current_until(timestamp: Path) -> str:
    """Return until when TUF, as last seen, calls the root current (TUF 4.6); for people only.

    TUF checked the file when it stored it. A file that cannot be read must not keep a root from
    being believed that was believed without it.
    """
    what = "TUF timestamp"
    try:
        data = read_trusted(timestamp, trusted_root.LIMIT, what)
        obj = as_kind(parse_json(data, what=what, limit=trusted_root.LIMIT), dict, what=what)
        expires = member(member(obj, "signed", dict, what=what), "expires", str, what=what)
    except ModelSealError:
        return ", never refreshed by TUF"
    return f", by TUF current until {shown(expires, 20)}"


def url_of(instance: str | None, *, staging: bool) -> tuple[str, str]:
    """Return where an instance publishes by TUF, and what people call it.

    Raises:
        UsageError: `instance` is no URL.
    """
    if instance is not None:
        if not _is_url(instance):
            message = f"'{shown(instance)}' is not the URL of an instance."
            raise UsageError("bad-url", message, "It is like https://sigstore.example.")
        return instance.rstrip("/"), f"the instance {shown(instance)}"
    if staging:
        return STAGING_URL, "the Sigstore staging instance"
    return PUBLIC_GOOD_URL, "the public Sigstore instance"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = text.isprintable() and not parts.query and not parts.fragment and " " not in text
    fits = len(quote(text, safe="")) <= _URL_LIMIT
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and fits


def not_trusted(name: str) -> Undecided:
    """Return the refusal to believe the instance called `name`."""
    return Undecided(
        "instance-not-trusted",
        f"This machine does not trust {name} yet.",
        "Get root.json from its operator, then: modelseal trust add URL root.json",
    )
