# SPDX-License-Identifier: Apache-2.0
"""`modelseal server status` with servers that answer anything."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import output_schema
import pytest
from in_process import invoke

from modelseal.servers import status

ABOUT = {"name": "mlserver", "version": "1.7.1", "extensions": ["modelseal"]}
INDEX = [
    {"name": "digits", "state": "READY", "reason": ""},
    {"name": "fraud", "version": "2", "state": "UNAVAILABLE",
     "reason": "Refused model 'fraud': revoked. [revoked]"},
    {"name": "x", "state": "UNAVAILABLE", "reason": "Cannot verify model 'x': no. [unreadable]"},
    {"name": "\x1b[31my\n", "state": "UNAVAILABLE", "reason": "no idea"},
]  # fmt: skip


@contextmanager
def serving(about=ABOUT, index=INDEX, code=200):
    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            data = about if self.path == "/v2" else index
            self.send_response(code)
            self.end_headers()
            self.wfile.write(data if isinstance(data, bytes) else json.dumps(data).encode())

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_table():
    with serving() as url:
        done = invoke("server", "status", url)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["NAME", "VERSION", "STATE", "VERDICT", "REASON"]
    assert lines[1].split() == ["digits", "READY", "accepted"]
    assert lines[2].split()[:4] == ["fraud", "2", "UNAVAILABLE", "refused"]
    assert lines[2].endswith("[revoked]")
    assert "undecided" in lines[3]
    assert lines[4].startswith(r"\x1b[31my\n")
    assert (
        len(
            {
                line.index(word)
                for line, word in zip(lines[1:3], ("accepted", "refused"), strict=True)
            }
        )
        == 1
    )


def test_json():
    with serving() as url:
        done = invoke("server", "status", url, "--format", "json")
    found = json.loads(done.stdout)
    assert output_schema.problem(found) is None
    assert found["server"]["verifies"]
    models = [(m["name"], m["version"], m["verdict"], m["code"]) for m in found["server"]["models"]]
    assert models == [
        ("digits", None, "accepted", "accepted"), ("fraud", "2", "refused", "revoked"),
        ("x", None, "undecided", "unreadable"), ("\x1b[31my\n", None, "unknown", ""),
    ]  # fmt: skip


def test_a_server_that_does_not_verify_has_no_verdicts():
    with serving({"name": "triton", "extensions": []}) as url:
        assert {model.verdict for model in status.ask(url).models} == {"unknown"}
        done = invoke("server", "status", url)
    assert "does not say that it verifies" in done.stderr


@pytest.mark.parametrize(
    "answers",
    [
        {"about": b""}, {"about": []}, {"about": {"name": 7}}, {"index": {}}, {"index": [1]},
        {"index": [{"name": "x"}]}, {"index": b"[" * 100_000}, {"code": 404}, {"code": 500},
        {"about": {"name": "x", "extensions": "modelseal"}},
    ],
)  # fmt: skip
def test_answers_that_are_none(answers):
    with serving(**answers) as url:
        done = invoke("server", "status", url)
    assert done.exit_code == 3
    assert "[server-unreachable]" in done.stderr


def test_a_large_answer_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(status, "_LIMIT", 1000)
    with serving(index=b" " * 1_000_000) as url:
        assert "larger than 1000 bytes" in invoke("server", "status", url).stderr


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8080", "file:///etc/passwd", "http://", "http://a\nb"]
)
def test_no_url(url):
    assert invoke("server", "status", url).exit_code == 2


def test_nobody_there():
    with serving() as url:
        pass
    assert invoke("server", "status", url).exit_code == 3
