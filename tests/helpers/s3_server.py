# SPDX-License-Identifier: Apache-2.0
"""An S3 on loopback (moto) in this process, which can be a bad one: `trouble` says how."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BUCKET = "models"


@dataclass
class S3:
    """A running server, and what was asked of it: method, path, Range."""

    endpoint: str
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    before_get: Callable[[str], None] | None = None  # called with the path
    cut: dict[str, int] = field(default_factory=dict)  # the next answer ends after so many bytes

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-secret",
        }  # fmt: skip

    def put(self, prefix: str, files: dict[str, bytes]) -> None:
        client = self._client()
        for name, data in files.items():
            client.put_object(Bucket=BUCKET, Key=prefix + name, Body=data)

    def delete(self, key: str) -> None:
        self._client().delete_object(Bucket=BUCKET, Key=key)

    def get(self, key: str) -> bytes:
        return self._client().get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def _client(self) -> Any:
        import boto3  # noqa: PLC0415 - a second that other tests need not pay

        return boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id="testing",
            aws_secret_access_key="testing-secret",
        )  # fmt: skip


@contextmanager
def serving() -> Iterator[S3]:
    """Give a server with an empty bucket until the end."""
    s3 = S3("")
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        s3.asked.append((method, path, environ.get("HTTP_RANGE")))
        if method == "GET" and s3.before_get is not None and path.count("/") > 1:
            s3.before_get(path)
        answer = moto(environ, start_response)
        cut = s3.cut.pop(path, None) if method == "GET" else None
        return answer if cut is None else [b"".join(answer)[:cut]]

    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        s3.endpoint = f"http://127.0.0.1:{server.server_port}"
        s3._client().create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        server.shutdown()
        thread.join()
