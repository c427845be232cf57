# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Hub of one repository, small enough for huggingface_hub to download from it."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import huggingface_hub
from huggingface_hub.utils import _shared_blobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COMMIT = "5" * 40


class Hub(NamedTuple):
    """A running server; its repository can be changed while it runs."""

    endpoint: str
    repository: str
    files: dict[str, bytes]

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


@contextmanager
def serving(repository: str, files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Give a Hub with `repository`, whose newest commit has these `files`, until the end."""
    content = dict(files)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api, resolve = f"/api/models/{repository}/", f"/{repository}/resolve/{COMMIT}/"
            path = self.path.partition("?")[0]
            if path.startswith(f"{api}revision/"):
                self._answer(json.dumps({"id": repository, "sha": COMMIT, "siblings": []}).encode())
            elif path.startswith(f"{api}tree/"):
                self._answer(json.dumps([_entry(*item) for item in content.items()]).encode())
            elif path.startswith(resolve) and path.removeprefix(resolve) in content:
                self._answer(content[path.removeprefix(resolve)])
            else:
                self._answer(b"{}", 404)

        do_HEAD = do_GET  # noqa: N815 - the name that is called

        def _answer(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{_git_hash(body)}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Hub(f"http://127.0.0.1:{server.server_port}", repository, content)
        finally:
            server.shutdown()
            thread.join()


def _entry(path: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": path, "size": len(data), "oid": _git_hash(data)}


def _git_hash(data: bytes) -> str:
    return sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
