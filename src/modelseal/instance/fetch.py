# SPDX-License-Identifier: Apache-2.0
"""The trust documents of an instance: from its folder, or from its URL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats.strict import as_kind, parse_json
from modelseal.instance import state as states
from modelseal.instance import trust
from modelseal.instance.database import Database
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from pathlib import Path

_DOCUMENTS = {
    "trust-config": trust.trust_config,
    "trusted-root": trust.trusted_root,
    "signing-config": trust.signing_config,
}
_ROOT = "root"  # the TUF root, of which every byte counts
NAMES = (*_DOCUMENTS, _ROOT)
_LIMIT = 1 << 20
_SECONDS = 30


def from_folder(data: Path, name: str) -> bytes:
    """Return the document `name` (one of NAMES) of the instance in `data`.

    Raises:
        Undecided: there is no instance, it never ran and so has no URL yet, or it is damaged.
    """
    state = states.started(data)
    if name != _ROOT:
        return trust.to_bytes(_DOCUMENTS[name](state))
    from modelseal.instance.tuf import TufRepository  # noqa: PLC0415 - the others do without TUF

    try:
        with closing(Database(state.database)) as database:
            return TufRepository(state.keys.tuf, database).root()
    except (sqlite3.Error, Refused) as error:
        raise states.damaged(data, error) from error


def from_url(url: str, name: str) -> bytes:
    """Return the document `name` as the instance at `url` gives it; nothing vouches for it.

    Raises:
        UsageError: `url` is not an http(s) URL.
        Undecided: no such answer came.
    """
    if not _is_http(url):
        raise UsageError("bad-url", f"{shown(url)!r} is not an http or https URL.")
    request = Request(f"{url.rstrip('/')}/{name}.json")  # noqa: S310 - the scheme was checked
    try:
        with build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
            body: bytes = answer.read(_LIMIT + 1)
        document: dict[str, Any] = as_kind(
            parse_json(body, what=name, limit=_LIMIT), dict, what=name
        )
    except (OSError, HTTPException, ValueError, FormatError) as error:
        raise Undecided(
            "instance-unreachable",
            f"The instance at {shown(url)} did not give its {name}: {shown(str(error))}.",
            "Check the URL, and that `modelseal instance up` runs there.",
        ) from error
    return body if name == _ROOT else trust.to_bytes(document)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
    except ValueError:
        return False


class _NoRedirect(HTTPRedirectHandler):
    """An instance never redirects these; whoever does is not it."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None
