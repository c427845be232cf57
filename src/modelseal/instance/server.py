# SPDX-License-Identifier: Apache-2.0
"""One process that serves one data folder on one port until it is told to stop."""

from __future__ import annotations

import ipaddress
import json
import logging
import signal
import socket
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.instance import state as states
from modelseal.instance.app import create_app
from modelseal.instance.database import Database
from modelseal.instance.services import Services, assemble

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from modelseal.instance.state import State
    from modelseal.instance.users import Users

_log = logging.getLogger("modelseal.instance")

_SHUTDOWN_SECONDS = 5
_MAX_CONNECTIONS = 500
_MAX_OF_ADDRESS = 250  # so that no address takes all of them
_HEAD_SECONDS = 30
_BACKLOG = 128


def serve(
    data: Path, *, host: str, port: int, users: Users | None, ready: Callable[[str], None]
) -> None:
    """Serve the instance in `data` until SIGTERM or SIGINT; call `ready` with its URL once.

    With `port` 0 the instance keeps the port that it had, because its URL is part of what clients
    trust; a new one takes any free port.

    Raises:
        UsageError: a host that cannot be served.
        Undecided: the folder is in use or damaged, or the port is taken.
    """
    _check_host(host, users)
    with states.locked(data):
        states.create(data, datetime.now(UTC))
        state = states.load(data)
        _check_clock(state)
        with _listen(host, port or _port_of(state.url)) as listener:
            state = states.with_url(state, _url(host, listener))
            database, services = _open(data, state, users)
            with closing(database):
                _run(create_app(services), listener, lambda: _started(services, ready))


def _started(services: Services, ready: Callable[[str], None]) -> None:
    url, root = services.state.url, services.tuf.root()
    fields = {"url": url, "tuf_root": f"sha256:{sha256(root).hexdigest()}"}
    ready(url)  # first, for who reads both streams as one
    _log.info("started", extra={"fields": fields})


def _open(data: Path, state: State, users: Users | None) -> tuple[Database, Services]:
    try:
        database = Database(state.database)
        return database, assemble(state, database, users)
    except sqlite3.OperationalError as error:  # no locks, no space, no shared memory
        raise states.unusable(data, error) from error
    except (sqlite3.Error, ValueError, FormatError) as error:
        raise states.damaged(data, error) from error


class _Server(uvicorn.Server):
    """Calls `ready` when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


class _Protocol(H11Protocol):
    """Bounds the wait for a request and the connections of an address.

    What is not even HTTP is answered like every other refusal.
    """

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        super().connection_made(transport)
        if self._connections_of_client() > _MAX_OF_ADDRESS:
            transport.abort()
        else:
            self._expect_head()

    def _connections_of_client(self) -> int:
        clients = (getattr(one, "client", None) for one in self.connections)
        return sum(client[0] == self.client[0] for client in clients if client and self.client)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._head_due is not None:
            self._head_due.cancel()

    def _expect_head(self) -> None:
        """Wait for the head of a request no longer than that, however it trickles in.

        uvicorn would wait for ever: a few hundred silent clients would keep out everybody else.
        """
        incomplete = self.cycle is None or self.cycle.response_complete
        if incomplete and self._head_due is None:
            self._head_due = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)
        elif not incomplete and self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def send_400_response(self, msg: str) -> None:
        body = json.dumps({"code": "bad-http", "message": msg}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage(),
        ):  # fmt: skip
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _run(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    config = uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", loop="asyncio", log_config=None,
        access_log=False, server_header=False,
        proxy_headers=False, timeout_keep_alive=30,
        limit_concurrency=_MAX_CONNECTIONS, timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )  # fmt: skip
    # uvicorn raises the signal again when it has shut down: then there is nothing left to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _Server(config, ready).run(sockets=[listener])


def _check_clock(state: State) -> None:
    now = datetime.now(UTC)
    if not state.start <= now < state.keys.ca_chain[0].not_valid_after_utc:
        raise Undecided(
            "clock",
            "The clock is outside the lifetime of this instance's certificates "
            f"(from {state.start:%Y-%m-%d}).",
            "Set the clock; what is signed with a wrong one cannot be verified.",
        )


def _check_host(host: str, users: Users | None) -> None:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as error:
        raise UsageError(
            "bad-host", f"{shown(host)!r} is not an IP address.", "Use --host 127.0.0.1."
        ) from error
    if address.is_unspecified:
        raise UsageError(
            "bad-host",
            "Clients cannot reach an instance under that address.",
            "Give the address that they use.",
        )
    if not address.is_loopback and users is None:
        raise UsageError(
            "open-sign-in",
            "Beyond this machine the sign-in page must ask for passwords.",
            "Give --users FILE, or --host 127.0.0.1.",
        )


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICSERV
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise Undecided(
            "port-taken",
            f"Port {port} on {shown(host)} cannot be used: {shown(str(error))}.",
            "Free it, or give another --port: clients then need the trust config anew.",
        ) from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _port_of(url: str) -> int:
    return (urlsplit(url).port or 0) if url else 0
