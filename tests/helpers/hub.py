# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Hub of one repository, small enough for huggingface_hub to download from it.

It can be a bad one: `trouble` says what it does to requests.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import unquote

import huggingface_hub
from huggingface_hub.utils import _shared_blobs
from patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMMIT = "5" * 40


@dataclass
class Trouble:
    """What a bad hub does."""

    token: str | None = None  # who has another one is let in nowhere
    sizes: dict[str, int] = field(default_factory=dict)  # lies about them
    cut: dict[str, int] = field(default_factory=dict)  # the next answer ends after so many bytes
    listed: list[str] = field(default_factory=list)  # names without files
    stall: dict[str, int] = field(default_factory=dict)  # sends so much, then waits for `go_on`
    stalled: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)


@dataclass
class Hub:
    """A running server; its repository can be changed while it runs.

    Of `commits` the newest is `files`; `asked` are the requests so far, with the Range header.
    """

    endpoint: str
    repository: str
    files: dict[str, bytes]
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def commit(self, sha: str, files: Mapping[str, bytes], branch: str = "main") -> None:
        """Add a commit, to which `branch` then moves."""
        self.commits[sha] = dict(files)
        self.branches[branch] = sha

    def downloads(self) -> list[str]:
        """Return the files whose bytes were asked for."""
        return [path.partition("/resolve/")[2].partition("/")[2] for method, path, _ in self.asked
                if method == "GET" and "/resolve/" in path]  # fmt: skip

    def download(self, cache: Path) -> Path:
        """Return the folder of the snapshot that the real client made in `cache`."""
        return Path(
            huggingface_hub.snapshot_download(
                self.repository, cache_dir=cache, endpoint=self.endpoint, token=False, max_workers=1
            )
        )


def share(snapshot: Path, name: str) -> None:
    """Move the file `name` to the part of the cache that repositories share, as Xet downloads do.

    The real client does it, and a Xet storage is all that it is spared.
    """
    blob = Path((snapshot / name).parent / (snapshot / name).readlink())
    done = _shared_blobs.publish_blob_to_shared_store(
        blob_path=str(snapshot.parents[1] / "blobs" / blob.name),
        xet_hash="ab" * 32,
        cache_dir=snapshot.parents[2],
        expected_size=blob.stat().st_size,
    )
    assert done, "not shared"


class _Handler(BaseHTTPRequestHandler):
    """Answers for `hub`."""

    hub: Hub

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        self.hub.asked.append((self.command, path, self.headers["Range"]))
        token = self.headers["Authorization"]
        if self.hub.trouble.token is not None and token != f"Bearer {self.hub.trouble.token}":
            self._refuse(401 if token is None else 403, "GatedRepo")
            return
        api, resolve = f"/api/models/{self.hub.repository}", f"/{self.hub.repository}/resolve/"
        tellers = {
            f"{api}/revision/": self._tell_revision, f"{api}/tree/": self._tell_tree,
            resolve: self._tell_file, api: lambda _: self._tell_revision("main"),
        }  # fmt: skip
        for start, tell in tellers.items():
            if path.startswith(start):
                tell(path.removeprefix(start))
                return
        self._refuse(404, "RepoNotFound")

    do_HEAD = do_GET  # noqa: N815 - the name that is called

    def _tell_revision(self, name: str) -> None:
        sha = self.hub.branches.get(name, name)
        if sha not in self.hub.commits:
            self._refuse(404, "RevisionNotFound")
            return
        self._answer(json.dumps({"id": self.hub.repository, "sha": sha, "siblings": []}).encode())

    def _tell_tree(self, commit: str) -> None:
        entries = [_entry(*item, self.hub.trouble) for item in self.hub.commits[commit].items()]
        entries += [_entry(name, b"", self.hub.trouble) for name in self.hub.trouble.listed]
        self._answer(json.dumps(entries).encode())

    def _tell_file(self, path: str) -> None:
        commit, _, name = path.partition("/")
        body = self.hub.commits.get(commit, {}).get(name)
        if body is None:
            self._refuse(404, "EntryNotFound")
            return
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
        troubles = (self.hub.trouble.cut.pop, self.hub.trouble.stall.get)
        cuts = [one(name, None) for one in troubles] if self.command == "GET" else []
        cut = next((one for one in cuts if one is not None), None)
        self._answer(body, 206 if start else 200, start=start, cut=cut)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(b"{}", status, {"X-Error-Code": code, "X-Error-Message": "no"})

    def _answer(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, *,
        start: int = 0, cut: int | None = None,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{_git_hash(body)}"')
        self.send_header("Accept-Ranges", "bytes")
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for item in (headers or {}).items():
            self.send_header(*item)
        self.end_headers()
        if self.command == "GET":
            end = None if cut is None else start + cut
            self.wfile.write(body[start:end])
            if cut is not None and self.hub.trouble.stall:
                self.wfile.flush()
                self.hub.trouble.stalled.set()
                self.hub.trouble.go_on.wait(PATIENCE)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def serving(repository: str, files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Give a Hub with `repository`, whose newest commit has these `files`, until the end."""
    hub = Hub("", repository, dict(files), branches={"main": COMMIT})
    hub.commits[COMMIT] = hub.files
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            hub.endpoint = f"http://127.0.0.1:{server.server_port}"
            yield hub
        finally:
            server.shutdown()
            thread.join()


def _entry(path: str, data: bytes, trouble: Trouble) -> dict[str, object]:
    size = trouble.sizes.get(path, len(data))
    return {"type": "file", "path": path, "size": size, "oid": _git_hash(data)}


def _git_hash(data: bytes) -> str:
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
