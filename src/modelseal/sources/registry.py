# SPDX-License-Identifier: Apache-2.0
"""`oci://HOST/REPOSITORY[:TAG|@sha256:DIGEST]`: an artifact in an OCI registry, by oras.

Its layers are the files, called as `org.opencontainers.image.title` (oras, KitOps) or
`org.cncf.model.filepath` (ModelPack) says; a ModelPack layer that is a tar of one file is unpacked
after its digest was checked. Signatures are files of the artifact, or refer to it: the referrers
API (OCI distribution 1.1), or the tag `sha256-DIGEST` where a registry has none.

Credentials are those of `docker login`. A registry on this machine is asked by HTTP.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import requests
from oras.auth import AuthenticationException, TokenAuth
from oras.container import Container
from oras.provider import Registry

from modelseal.errors import FormatError, shown
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.model.bundles import BUNDLE_NAME, MOST_BUNDLES, is_folders_bundle
from modelseal.sources import archive, parts
from modelseal.sources.base import (
    Object,
    Resolved,
    access_denied,
    changed_at_source,
    no_such_revision,
    transfer_failed,
)
from modelseal.sources.staging import checked
from modelseal.sources.uri import bad_uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.sources.base import Count

_URI = re.compile(
    r"oci://(?P<host>[A-Za-z0-9.-]+(:[0-9]+)?)/(?P<repository>[a-z0-9._/-]+)"
    r"(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_LOCAL = re.compile(r"(localhost|127\.[0-9.]+)(:[0-9]+)?")
_MANIFEST_LIMIT = 4 << 20  # bytes (OCI distribution 1.1, "Pushing Manifests")
_MOST_LAYERS = 50_000
_CHUNK = 1 << 16  # bytes; what is not whole is lost when a transfer stops
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle"  # v0.1 to v0.3
_TITLES = ("org.cncf.model.filepath", "org.opencontainers.image.title")
_TAR = re.compile(r"application/vnd\.cncf\.model\..+\.tar(\+gzip)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LOOK = "Check host, repository, tag and digest."
_LOGIN = "Sign in with `docker login HOST`, or another tool that writes ~/.docker/config.json."


class _Auth(TokenAuth):  # type: ignore[misc] # the package has no types
    """Answers what a registry asks for: oras takes the realm of a password for a token service."""

    def authenticate_request(
        self,
        original: requests.Response,
        headers: dict[str, str],
        refresh: bool = False,  # noqa: FBT001, FBT002 - as the method of oras that it replaces
    ) -> tuple[dict[str, str], bool]:
        """Return the headers to try again with, and whether there is anything to try."""
        challenge = original.headers.get("WWW-Authenticate", "")
        if not challenge.lower().startswith("basic"):
            answer: tuple[dict[str, str], bool] = super().authenticate_request(
                original, headers, refresh
            )
            return answer
        password = getattr(self, "_basic_auth", None)
        return {
            **headers,
            "Authorization": f"Basic {password}",
        }, password is not None and not refresh


class _Registry(Registry):  # type: ignore[misc] # the package has no types
    """The registry, asked once: oras tries five times, for two minutes."""

    do_request = Registry.do_request.__wrapped__

    def __init__(self, host: str, *, insecure: bool) -> None:
        super().__init__(host, insecure=insecure)
        self.auth = _Auth()
        self.auth.session, self.auth.prefix = self.session, self.prefix
        self.auth._tls_verify = True  # noqa: SLF001 - as `oras.auth.get_auth_backend` does


class At:
    """The artifact that a URI names."""

    def __init__(self, uri: str) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            hint = "Write oci://HOST/REPOSITORY:TAG or oci://HOST/REPOSITORY@sha256:DIGEST."
            raise bad_uri(uri, hint)
        self._uri, self._digest = uri, match["digest"]
        self._place = f"oci://{match['host']}/{match['repository']}"
        self._name = match["repository"].rpartition("/")[2]
        self._wanted = self._digest or match["tag"] or "latest"
        self._registry = _Registry(
            match["host"], insecure=_LOCAL.fullmatch(match["host"]) is not None
        )
        self._container = Container(f"{match['host']}/{match['repository']}")

    def resolve(self) -> Resolved:
        """Return the files of the manifest that the tag names now; see `Source`."""
        data = self._manifest(self._wanted)
        if data is None:
            raise no_such_revision(self._uri, _LOOK)
        digest = f"sha256:{sha256(data).hexdigest()}"
        if self._digest not in {None, digest}:
            raise changed_at_source(self._uri, "the manifest")
        layers = _descriptors(data, "layers")
        objects = [self._file(layer) for layer in layers]
        signatures = self._signatures(digest, objects)
        return Resolved(
            f"{self._place}@{digest}", self._name, checked((*objects, *signatures), _MOST_LAYERS)
        )

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where the file is now, its digest checked; see `Source`."""
        digest, _, packed = one.key.partition(" ")
        path = parts.path_of(folder, one)
        blob = one._replace(size=int(packed)) if packed else one
        with self._translated():
            parts.save(self._uri, blob, path, lambda offset: self._read(digest, offset), count)
        with path.open("rb") as file:
            hasher = sha256()
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
        if f"sha256:{hasher.hexdigest()}" != digest:
            path.unlink()
            raise changed_at_source(self._uri, one.name)
        if not packed:
            return path
        unpacked = path.with_suffix(".unpacked")
        unpacked.unlink(missing_ok=True)
        archive.unpack_one(path, unpacked)
        path.unlink()
        return unpacked

    def _read(self, digest: str, offset: int) -> Iterator[bytes]:
        url = f"{self._registry.prefix}://{self._container.get_blob_url(digest)}"
        with self._asked(url, {"Range": f"bytes={offset}-"} if offset else {}) as answer:
            if not answer.ok:
                raise transfer_failed(self._uri, f"HTTP status {answer.status_code}")
            skipped = 0 if answer.status_code == requests.codes.partial else offset
            for chunk in answer.iter_content(_CHUNK):
                yield chunk[skipped:]
                skipped = max(skipped - len(chunk), 0)

    def _file(self, layer: dict[str, Any]) -> Object:
        notes = layer.get("annotations") or {}
        name = next((notes[title] for title in _TITLES if title in notes), None)
        if not isinstance(name, str):
            raise _unsupported(self._uri, "a layer has no annotation with the name of a file")
        digest, size = _digest_of(layer), member(layer, "size", int, what="layer")
        media_type = str(layer.get("mediaType", ""))
        if _TAR.fullmatch(media_type):
            return Object(name, None, f"{digest} {size}")  # of the tar
        if media_type.endswith((".tar", ".tar+gzip", ".tar+zstd")):
            raise _unsupported(self._uri, f"'{shown(name)}' is a layer of another kind")
        return Object(name, size, digest)

    def _signatures(self, digest: str, files: list[Object]) -> Iterator[Object]:
        """Yield the bundles that refer to the artifact, under names that no file has."""
        taken = {one.name for one in files if is_folders_bundle(one.name)}
        numbered = (BUNDLE_NAME, *(f"{BUNDLE_NAME}.{n}" for n in range(2, MOST_BUNDLES + 1)))
        names = iter([name for name in numbered if name not in taken])
        for found in self._referrers(digest):
            if not str(found.get("artifactType", "")).startswith(_BUNDLE):
                continue
            data = self._manifest(_digest_of(found))
            if data is None or f"sha256:{sha256(data).hexdigest()}" != _digest_of(found):
                raise changed_at_source(self._uri, "a signature")
            for layer in _descriptors(data, "layers"):
                name = next(names, None)
                if name is None:
                    return
                yield Object(name, member(layer, "size", int, what="layer"), _digest_of(layer))

    def _referrers(self, digest: str) -> list[dict[str, Any]]:
        container, prefix = self._container, self._registry.prefix
        url = f"{prefix}://{container.registry}/v2/{container.api_prefix}/referrers/{digest}"
        with self._translated(), self._asked(url, {"Accept": _INDEX}) as answer:
            found = _bounded(answer) if answer.status_code == requests.codes.ok else None
        if found is None:  # the fallback of registries that have no such API
            found = self._manifest(digest.replace(":", "-"))
        return [] if found is None else _descriptors(found, "manifests")

    def _manifest(self, reference: str) -> bytes | None:
        """Return the manifest or index that `reference` names, None if there is none."""
        url = f"{self._registry.prefix}://{self._container.manifest_url(reference)}"
        with self._translated(), self._asked(url, {"Accept": f"{_MANIFEST}, {_INDEX}"}) as answer:
            if answer.status_code == requests.codes.not_found:
                return None
            if not answer.ok:
                raise transfer_failed(self._uri, f"HTTP status {answer.status_code}")
            return _bounded(answer)

    @contextmanager
    def _asked(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        self._registry.auth.load_configs(self._container, _docker_configs())
        with self._registry.do_request(url, headers=headers, stream=True) as answer:
            if answer.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
                raise access_denied(self._uri, _LOGIN)
            yield answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn an error of the library into one that says what to do."""
        try:
            yield
        except AuthenticationException as error:
            raise access_denied(self._uri, _LOGIN) from error
        except requests.RequestException as error:
            raise transfer_failed(self._uri, type(error).__name__) from error
        except ValueError as error:  # what oras raises when it cannot authenticate
            raise access_denied(self._uri, _LOGIN) from error


def _docker_configs() -> list[str]:
    """Return where `docker login` keeps what it knows, beside the home folder, where oras looks."""
    folder = os.environ.get("DOCKER_CONFIG")
    return [os.path.join(folder, "config.json")] if folder else []  # noqa: PTH118 - text for oras


def _bounded(answer: requests.Response) -> bytes:
    data = b""
    for chunk in answer.iter_content(_CHUNK):
        data += chunk
        if len(data) > _MANIFEST_LIMIT:
            raise FormatError("too-large", f"The manifest is larger than {_MANIFEST_LIMIT} bytes.")
    return data


def _descriptors(data: bytes, name: str) -> list[dict[str, Any]]:
    """Return the descriptors that the manifest or index in `data` has under `name`."""
    document = as_kind(
        parse_json(data, what="manifest", limit=_MANIFEST_LIMIT), dict, what="manifest"
    )
    if name == "layers" and name not in document:
        raise _unsupported("the artifact", "it is an index, not a manifest")
    found = member(document, name, list, what="manifest")
    if len(found) > _MOST_LAYERS:
        raise FormatError("too-many", f"The manifest has more than {_MOST_LAYERS:,} {name}.")
    return [as_kind(one, dict, what=name) for one in found]


def _digest_of(descriptor: dict[str, Any]) -> str:
    digest = member(descriptor, "digest", str, what="descriptor")
    if not _DIGEST.fullmatch(digest):
        raise FormatError("bad-digest", f"'{shown(digest)}' is not a SHA-256 digest.")
    return digest


def _unsupported(uri: str, why: str) -> FormatError:
    return FormatError(
        "unsupported-artifact",
        f"'{shown(uri)}' is not a model of files: {why}.",
        "Push the files with `oras push`, or as a ModelPack of raw layers.",
    )
