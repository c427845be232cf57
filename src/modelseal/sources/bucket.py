# SPDX-License-Identifier: Apache-2.0
"""`s3://BUCKET/KEY`, `gs://BUCKET/KEY`, `az://CONTAINER/KEY`: objects of a bucket, by obstore.

KEY is an object, or what the names of several begin with, as those of a folder. Credentials and
endpoints come from the environment, as obstore documents: AWS_ACCESS_KEY_ID, AWS_ENDPOINT,
GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and so on, or from the machine's role.

Buckets have no revisions. What is listed is one: names, sizes and ETags. Each object is asked for
by its ETag, so that one which changes meanwhile is noticed. An ETag is no digest of the content,
and is not taken for one.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import obstore
from obstore import exceptions, store

from modelseal.errors import UsageError, shown
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
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from obstore import GetOptions, ObjectMeta

    from modelseal.sources.base import Count

_URI = re.compile(
    r"(?P<bucket>(?P<scheme>s3|gs|az)://[^/@?#]+)/(?P<key>[^?#]+?)/?(@(?P<pin>sha256:[0-9a-f]{64}))?"
)
_CHUNK = 1 << 20  # bytes
_CREDENTIALS = {
    "s3": "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true.",
    "gs": "Set GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true.",
    "az": "Set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a SAS token.",
}
_STATUS = re.compile(r"status code: ([0-9]{3})")
_NONE = "404"
_LOOK = "Check bucket, key, region and endpoint."


class At:
    """The objects that a URI names."""

    def __init__(self, uri: str) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise bad_uri(uri, "Write s3://BUCKET/KEY, gs://BUCKET/KEY or az://CONTAINER/KEY.")
        self._uri = f"{match['bucket']}/{match['key']}"
        self._bucket, self._is_object = match["bucket"], False
        self._key, self._scheme = match["key"], match["scheme"]
        with self._translated():
            self._store = store.from_url(
                match["bucket"],
                retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=60)},
            )
        self._keys: dict[str, str] = {}

    def resolve(self) -> Resolved:
        """Return the objects that there are now; see `Source`."""
        name = PurePosixPath(self._key).name
        with self._translated():
            single = self._head(self._key)
            self._is_object = single is not None
            found = self._with_signatures(name, single) if single else self._below()
        if not found:
            raise no_such_revision(self._uri, _LOOK)
        objects = checked(tuple(found), MOST_OBJECTS)
        return Resolved(
            f"{self._uri}@{parts.fingerprint(objects)}", name, objects, is_file=single is not None
        )

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where the object is now; see `Source`."""
        path = parts.path_of(folder, one)
        with self._translated(one.name):
            parts.save(self._uri, one, path, lambda offset: self._read(one, offset), count)
        return path

    def chunks(self, one: Object) -> Iterator[bytes]:
        """Yield the bytes of the object, if it is still the one that was listed.

        Raises:
            FormatError: it is not. Undecided: it cannot be read.
        """
        done = 0
        with self._translated(one.name):
            for chunk in self._read(one, 0):
                done += len(chunk)
                yield chunk
        if done != one.size:
            raise transfer_failed(self._uri, f"it stopped after {done:,} of {one.size:,} bytes")

    def upload(self, name: str, data: bytes, *, overwrite: bool) -> str:
        """Put a new object beside or among those of the model; return its URI.

        Raises:
            UsageError: it is there ("already-exists"). Undecided: it cannot be written.
        """
        beside = self._key.rpartition("/")[0] if self._is_object else self._key
        key = f"{beside}/{name}" if beside else name
        with self._translated():
            try:
                obstore.put(self._store, key, data, mode="overwrite" if overwrite else "create")
            except exceptions.AlreadyExistsError as error:
                message = f"'{shown(name)}' is there by now."
                raise UsageError("already-exists", message, "Use --overwrite.") from error
        return f"{self._bucket}/{key}"

    def _read(self, one: Object, offset: int) -> Iterable[bytes]:
        options: GetOptions = {"range": {"offset": offset}} if offset else {}
        if one.key:
            options["if_match"] = one.key
        found = obstore.get(self._store, self._keys[one.name], options=options)
        return (bytes(chunk) for chunk in found.stream(min_chunk_size=_CHUNK))

    def _head(self, key: str) -> ObjectMeta | None:
        try:
            return obstore.head(self._store, key)
        except (FileNotFoundError, exceptions.NotFoundError):
            return None

    def _with_signatures(self, name: str, meta: ObjectMeta) -> list[Object]:
        folder = self._key[: -len(name)]

        def signature(beside: str) -> Object | None:
            found = self._head(folder + beside)
            return self._object(beside, found) if found else None

        return [self._object(name, meta), *signatures_beside(name, signature)]

    def _below(self) -> list[Object]:
        found = (meta for chunk in obstore.list(self._store, self._key) for meta in chunk)
        return [
            self._object(meta["path"][len(self._key) + 1 :], meta)
            for meta in islice(found, MOST_OBJECTS + 1)
            if not meta["path"].endswith("/")  # what some tools put there for a folder
        ]

    def _object(self, name: str, meta: ObjectMeta) -> Object:
        self._keys[name] = meta["path"]
        return Object(name, meta["size"], meta["e_tag"] or "")

    @contextmanager
    def _translated(self, name: str = "") -> Iterator[None]:
        """Turn an error of the library into one that says what to do."""
        try:
            yield
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise access_denied(self._uri, _CREDENTIALS[self._scheme]) from error
        except (exceptions.PreconditionError, exceptions.NotModifiedError) as error:
            raise changed_at_source(self._uri, name) from error
        except (FileNotFoundError, exceptions.NotFoundError) as error:
            if name:
                raise changed_at_source(self._uri, name) from error
            raise no_such_revision(self._uri, _LOOK) from error
        except exceptions.InvalidPathError as error:
            raise bad_uri(self._uri, "A key has no empty parts and no '..'.") from error
        except exceptions.BaseError as error:
            if _status(error) == _NONE:  # of the bucket
                raise no_such_revision(self._uri, _LOOK) from error
            if "credential" in str(error).lower():
                raise access_denied(self._uri, _CREDENTIALS[self._scheme]) from error
            raise transfer_failed(self._uri, _reason(error)) from error


def _status(error: Exception) -> str:
    """Return the HTTP status in what the library says, which has no field for it."""
    match = _STATUS.search(str(error))
    return match[1] if match else ""


def _reason(error: Exception) -> str:
    """Return what went wrong, without addresses and answers: they may have credentials in them."""
    return f"HTTP status {_status(error)}" if _status(error) else type(error).__name__
