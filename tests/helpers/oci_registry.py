# SPDX-License-Identifier: Apache-2.0
"""An OCI registry on loopback, small enough for oras to push to and pull from it.

Source: OCI distribution 1.1. It can be a bad one: `blobs` can be changed, and `cut` ends an answer.
"""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"


def digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


@dataclass
class Store:
    """What a running registry has, and what was asked of it: method, path, Range."""

    referrers: bool
    login: tuple[str, str] | None = None
    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)  # by tag and by digest
    cut: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


class Pusher:
    """Pushes to the registry at `host` as any client does."""

    def __init__(self, host: str, login: tuple[str, str] | None = None) -> None:
        self.host = host
        self._session = requests.Session()
        self._session.auth = login

    def blob(self, repository: str, data: bytes) -> dict[str, Any]:
        """Push `data`; return its descriptor."""
        base = f"http://{self.host}"
        started = self._session.post(f"{base}/v2/{repository}/blobs/uploads/")
        place = started.headers["Location"]
        url = place if place.startswith("http") else base + place
        done = self._session.put(url, params={"digest": digest(data)}, data=data)
        assert done.status_code == 201, done.text
        return {"mediaType": "application/octet-stream", "digest": digest(data), "size": len(data)}

    def manifest(self, repository: str, reference: str, document: dict[str, Any]) -> str:
        """Push a manifest or index as `reference`, empty for its digest; return the digest."""
        data = json.dumps(document).encode()
        url = f"http://{self.host}/v2/{repository}/manifests/{reference or digest(data)}"
        kind = {"Content-Type": document["mediaType"]}
        done = self._session.put(url, data=data, headers=kind)
        assert done.status_code == 201, done.text
        return digest(data)

    def model(
        self, repository: str, tag: str, files: dict[str, bytes], title: str = TITLE,
        media_type: str = "application/octet-stream",
    ) -> str:  # fmt: skip
        """Push the files as layers; return the digest of the manifest."""
        layers = [
            {**self.blob(repository, data), "mediaType": media_type, "annotations": {title: name}}
            for name, data in files.items()
        ]
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "layers": layers,
            "config": {**self.blob(repository, b"{}"), "mediaType": "application/json"},
        }  # fmt: skip
        return self.manifest(repository, tag, document)

    def attach(self, repository: str, subject: str, bundle: bytes, *, fallback: bool) -> None:
        """Push a signature that refers to `subject`, with the tag of old registries if wanted."""
        document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": BUNDLE,
            "config": {**self.blob(repository, b"{}"), "mediaType": EMPTY},
            "layers": [{**self.blob(repository, bundle), "mediaType": BUNDLE}],
            "subject": {"mediaType": MANIFEST, "digest": subject, "size": 1},
        }  # fmt: skip
        found = self.manifest(repository, "", document)
        if fallback:
            one = {"mediaType": MANIFEST, "artifactType": BUNDLE, "digest": found, "size": 1}
            index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one]}
            self.manifest(repository, subject.replace(":", "-"), index)


class _Handler(BaseHTTPRequestHandler):
    store: Store

    def do_GET(self) -> None:
        store = self.store
        store.asked.append((self.command, self.path, self.headers["Range"]))
        if not self._let_in():
            return
        kind, _, what = self.path.partition("?")[0].removeprefix("/v2/").rpartition("/")
        if kind.endswith("/referrers") and store.referrers:
            self._answer(json.dumps(self._referrers(what)).encode(), INDEX)
        elif kind.endswith("/manifests") and what in store.manifests:
            self._answer(store.manifests[what], MANIFEST)
        elif kind.endswith("/blobs") and what in store.blobs:
            self._blob(what)
        else:
            self._answer(b'{"errors":[{"code":"UNKNOWN"}]}', "application/json", 404)

    do_HEAD = do_GET  # noqa: N815 - the name that is called

    def do_POST(self) -> None:
        if self._let_in():
            self._answer(b"", status=202, headers={"Location": f"{self.path}1"})

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if not self._let_in():
            return
        if "/manifests/" in self.path:
            self.store.manifests[digest(data)] = data
            self.store.manifests[self.path.rpartition("/")[2]] = data
        else:
            self.store.blobs[digest(data)] = data
        self._answer(b"", status=201)

    def _let_in(self) -> bool:
        login = self.store.login
        if login is None:
            return True
        expected = "Basic " + b64encode(":".join(login).encode()).decode()
        if self.headers["Authorization"] == expected:
            return True
        self._answer(b"{}", status=401, headers={"WWW-Authenticate": 'Basic realm="test"'})
        return False

    def _referrers(self, subject: str) -> dict[str, Any]:
        found = []
        for data in {digest(data): data for data in self.store.manifests.values()}.values():
            document = json.loads(data)
            if document.get("subject", {}).get("digest") == subject:
                kind = document["artifactType"]
                one = {"mediaType": MANIFEST, "digest": digest(data), "size": len(data)}
                found.append({**one, "artifactType": kind})
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}

    def _blob(self, name: str) -> None:
        body = self.store.blobs[name]
        match = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(match[1]) if match else 0
        self._answer(
            body[start:], status=206 if match else 200,
            cut=self.store.cut.pop(name, None) if self.command == "GET" else None,
        )  # fmt: skip

    def _answer(
        self, body: bytes, kind: str = "application/octet-stream", status: int = 200, *,
        headers: dict[str, str] | None = None, cut: int | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        for item in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(*item)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(*, referrers: bool, login: tuple[str, str] | None = None) -> Iterator[Store]:
    """Give an empty registry until the end of the block."""
    store = Store(referrers, login)
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            store.host = f"127.0.0.1:{server.server_port}"
            yield store
        finally:
            server.shutdown()
            thread.join()
