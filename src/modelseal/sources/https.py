# SPDX-License-Identifier: Apache-2.0
"""`https://HOST/PATH`: one file, and the signatures beside it, by requests.

Credentials are those of requests: ~/.netrc, proxies and CAs from the environment. The revision is
what the server says of the file now, its size, ETag and date; a file of which that changes while it
is read is refused.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import requests

from modelseal.sources import parts
from modelseal.sources.base import (
    MOST_OBJECTS,
    Object,
    Resolved,
    access_denied,
    changed_at_source,
    no_such_revision,
    signatures_beside,
    transfer_failed,
)
from modelseal.sources.staging import checked
from modelseal.sources.uri import bad_uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.sources.base import Count

_URI = re.compile(r"(?P<url>https://[^/?#@]+/[^?#]*?[^/?#])(@(?P<pin>sha256:[0-9a-f]{64}))?")
_CHUNK = 1 << 16  # bytes; what is not whole is lost when a transfer stops
_TIMEOUT = 60  # seconds without an answer
_DENIED = (401, 403, 407)
_PARTIAL, _CHANGED, _NONE = 206, (412, 416), (404, 410)


class At:
    """The file that a URL names."""

    def __init__(self, uri: str) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise bad_uri(uri, "Write https://HOST/PATH, without a query: it may be a password.")
        self._url = match["url"]
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"

    def resolve(self) -> Resolved:
        """Return the file as the server describes it now; see `Source`."""
        name = unquote(PurePosixPath(urlsplit(self._url).path).name)
        single = self._described(name)
        if single is None:
            raise no_such_revision(self._url, "Check the URL.")
        objects = checked((single, *signatures_beside(name, self._described)), MOST_OBJECTS)
        revision = f"{self._url}@{parts.fingerprint(objects)}"
        return Resolved(revision, name, objects, is_file=True)

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where the file is now; see `Source`."""
        path = parts.path_of(folder, one)
        with self._translated():
            parts.save(self._url, one, path, lambda offset: self._read(one, offset), count)
        return path

    def _read(self, one: Object, offset: int) -> Iterator[bytes]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._asked("GET", one.name, headers) as answer:
            if answer.status_code in _CHANGED or _described(one.name, answer, offset) != one:
                raise changed_at_source(self._url, one.name)
            skipped = 0 if answer.status_code == _PARTIAL else offset
            for chunk in answer.iter_content(_CHUNK):  # all of it, from a server without ranges
                yield chunk[skipped:]
                skipped = max(skipped - len(chunk), 0)

    def _described(self, name: str) -> Object | None:
        with self._translated(), self._asked("HEAD", name, {}) as answer:
            return None if answer.status_code in _NONE else _described(name, answer, 0)

    @contextmanager
    def _asked(
        self, method: str, name: str, headers: dict[str, str]
    ) -> Iterator[requests.Response]:
        url = self._url + name.removeprefix(unquote(self._url.rpartition("/")[2]))
        with self._session.request(
            method, url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=True
        ) as answer:
            if not answer.url.startswith("https://"):
                raise transfer_failed(self._url, "it leads to an address without encryption")
            if answer.status_code in _DENIED:
                raise access_denied(self._url, "Put the credentials for that host into ~/.netrc.")
            if not answer.ok and answer.status_code not in (*_CHANGED, *_NONE):
                raise transfer_failed(self._url, f"HTTP status {answer.status_code}")
            yield answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn an error of the library into one that says what to do."""
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise transfer_failed(self._url, "its certificate is not trusted") from error
        except requests.RequestException as error:
            raise transfer_failed(self._url, type(error).__name__) from error


def _described(name: str, answer: requests.Response, offset: int) -> Object:
    """Return what the headers of `answer` say of the file `name`, which was asked from `offset`."""
    length = answer.headers.get("Content-Length", "")
    size = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    if size is not None and answer.status_code == _PARTIAL:
        size += offset
    kept = ("ETag", "Last-Modified")
    return Object(name, size, " ".join(answer.headers.get(one, "") for one in kept).strip())
