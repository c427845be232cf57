# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
import uvicorn
from patience import PATIENCE
from uvicorn.server import ServerState

from modelseal.instance import server


async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def said_to(*parts):
    """Return what a client gets that sends `parts` and then waits, until it is cut off."""
    config = uvicorn.Config(answer, log_config=None, timeout_keep_alive=600)
    config.load()

    def protocol():
        return server._Protocol(config=config, server_state=ServerState(), app_state={})

    listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        got = b""
        with suppress(ConnectionResetError):
            for part in parts:
                writer.write(part)
                got += await reader.readline() if part.endswith(b"\r\n\r\n") else b""
            got += await reader.read()
        writer.close()
    return got


@pytest.mark.parametrize(
    ("parts", "answers"),
    [
        ([], 0),
        ([b"GET / HTTP/1.1\r\nHost: "], 0),
        ([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HT"], 1),
    ],
)
def test_a_request_that_does_not_come_ends_the_connection(monkeypatch, parts, answers):
    # uvicorn waits for ever: 500 such clients kept everybody else out
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.2)
    got = asyncio.run(asyncio.wait_for(said_to(*parts), PATIENCE))
    assert got.count(b"204 No Content") == answers
