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


async def listening():
    """Return a listener of the server's protocol on a port of its own."""
    config = uvicorn.Config(answer, log_config=None, timeout_keep_alive=600)
    config.load()
    state = ServerState()

    def protocol():
        return server._Protocol(config=config, server_state=state, app_state={})

    return await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)


async def said_to(complete, incomplete, hurry):
    """Return what a client gets that sends requests and then waits, until it is cut off.

    After `hurry` the server waits for the next one for a short while only.
    """
    listener = await listening()
    async with listener:
        reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
        got = b""
        with suppress(ConnectionResetError):
            for number, request in enumerate(complete, 1):
                if number == len(complete):
                    hurry()  # the answer to a request ends the wait for it
                writer.write(request)
                got += await reader.readline()
            writer.write(incomplete)
            got += await reader.read()
        writer.close()
    return got


@pytest.mark.parametrize(
    ("complete", "incomplete"),
    [
        ([], b""),
        ([], b"GET / HTTP/1.1\r\nHost: "),
        ([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], b"GET / HT"),
    ],
)
def test_a_request_that_does_not_come_ends_the_connection(monkeypatch, complete, incomplete):
    # uvicorn waits for ever: 500 such clients kept everybody else out
    def hurry():
        monkeypatch.setattr(server, "_HEAD_SECONDS", 0.2)

    monkeypatch.setattr(server, "_HEAD_SECONDS", PATIENCE)
    if not complete:
        hurry()
    got = asyncio.run(asyncio.wait_for(said_to(complete, incomplete, hurry), PATIENCE))
    assert got.count(b"204 No Content") == len(complete)


async def statuses(addresses):
    """Open a connection from each address, keep it, and return what a request over each got."""
    listener = await listening()
    got, writers = [], []
    async with listener:
        host, port = listener.sockets[0].getsockname()
        for address in addresses:
            reader, writer = await asyncio.open_connection(host, port, local_addr=(address, 0))
            writers.append(writer)
            with suppress(ConnectionResetError):
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try:
                got.append(await reader.readline())
            except ConnectionResetError:
                got.append(b"")
        for writer in writers:
            writer.close()
    return [bool(line) for line in got]


def test_no_address_takes_all_connections(monkeypatch):
    monkeypatch.setattr(server, "_MAX_OF_ADDRESS", 3)
    addresses = ["127.0.0.2"] * 5 + ["127.0.0.3", "127.0.0.4", "127.0.0.2"]
    answered = asyncio.run(asyncio.wait_for(statuses(addresses), PATIENCE))
    assert answered == [True, True, True, False, False, True, True, False]


def test_a_connection_that_ends_makes_room(monkeypatch):
    monkeypatch.setattr(server, "_MAX_OF_ADDRESS", 1)

    async def one_after_another():
        async with await listening() as listener:
            host, port = listener.sockets[0].getsockname()
            for _ in range(3):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert b"204" in await reader.read()
                writer.close()

    asyncio.run(asyncio.wait_for(one_after_another(), PATIENCE))


def test_an_address_gets_no_more_than_half():
    assert server._MAX_OF_ADDRESS * 2 <= server._MAX_CONNECTIONS
