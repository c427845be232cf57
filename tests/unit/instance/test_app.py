# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from contextlib import closing
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from patience import PATIENCE

from modelseal.instance import services, state
from modelseal.instance.app import create_app
from modelseal.instance.database import Database

HOST = "127.0.0.1:1"
FORM = {
    "response_type": "code", "client_id": "sigstore", "redirect_uri": "http://localhost:9999/",
    "code_challenge": "c" * 43, "code_challenge_method": "S256", "password": "wrong",
}  # fmt: skip


class SlowUsers:
    """Takes its time for each password until `finish` is set; notes how many it has at once."""

    def __init__(self):
        self.finish = threading.Event()
        self.two_at_work = threading.Event()
        self.at_work = 0
        self.most = 0
        self._lock = threading.Lock()

    def accept(self, _identity, _password):
        with self._lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
            if self.at_work == 2:
                self.two_at_work.set()
        assert self.finish.wait(PATIENCE)
        with self._lock:
            self.at_work -= 1
        return False


@pytest.fixture
def users():
    return SlowUsers()


@pytest.fixture
def app(tmp_path, users):
    state.create(tmp_path, datetime.now(UTC))
    loaded = state.with_url(state.load(tmp_path), f"http://{HOST}", 1)
    with closing(Database(loaded.database)) as database:
        yield create_app(services.assemble(loaded, database, users))


async def status_of(app, method, path, body=b""):
    """Return the status of the answer to a request, straight from the application."""
    messages = [{"type": "http.request", "body": body}]
    sent = []

    async def receive():
        return messages.pop() if messages else await asyncio.Future()

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "root_path": "",
        "headers": [(b"host", HOST.encode())], "client": ("127.0.0.1", 4711),
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"]


def test_passwords_are_hashed_two_at_a_time_and_take_no_threads_from_other_services(app, users):
    async def together():
        attempts = [
            asyncio.create_task(status_of(app, "POST", "/auth", urlencode(form).encode()))
            for form in (FORM | {"identity": f"user-{n}@example.com"} for n in range(45))
        ]
        try:
            assert await asyncio.to_thread(users.two_at_work.wait, PATIENCE)
            assert await status_of(app, "GET", "/checkpoint") == 200
        finally:
            users.finish.set()
        return await asyncio.gather(*attempts)

    assert asyncio.run(together()) == [401] * 45
    assert users.most == 2
