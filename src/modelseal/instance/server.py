# SPDX-License-Identifier: Apache-2.0
"""One process that serves one data folder on one port until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.instance import clock, tls
from modelseal.instance import state as states
from modelseal.instance.app import create_app
from modelseal.instance.ctlog import last_time
from modelseal.instance.database import Database
from modelseal.instance.listening import (
    Listening,
    checked,
    is_local,
    listen,
    open_sign_in,
    origin,
)
from modelseal.instance.services import Services, assemble

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from starlette.types import ASGIApp

    from modelseal.instance.health import Gauges
    from modelseal.instance.state import State
    from modelseal.instance.upstream import Upstream
    from modelseal.instance.users import UsersFile

_log = logging.getLogger("modelseal.instance")

_SHUTDOWN_SECONDS = 5
_MAX_CONNECTIONS = 500
_MAX_OF_ADDRESS = 250  # so that no address takes all of them
_HEAD_SECONDS = 30


def serve(
    data: Path, *, listening: Listening, users: UsersFile | None, ready: Callable[[str], None],
    upstream: Upstream | None = None,
) -> None:  # fmt: skip
    """Serve the instance in `data` until SIGTERM or SIGINT; call `ready` with its URL once.

    With port 0 the instance keeps the port that it had, and without a public URL the one that it
    was given before, because its URL is part of what clients trust. SIGHUP reads the TLS
    certificate and the users again.

    Raises:
        UsageError: a host or URL that cannot be served, or a bad TLS certificate.
        Undecided: the folder is in use or damaged, or the port is taken.
    """
    is_open = users is None and upstream is None
    listening = checked(listening, asks_passwords=not is_open)
    with states.locked(data):
        states.create(data, datetime.now(UTC))
        state = states.load(data)
        with listen(listening.host, listening.port or state.port) as listener:
            state = _located(state, listening, listener)
            if is_open and not is_local(state.url):
                raise open_sign_in()
            live = _Live(state.url, listening, users)
            database, services = _open(data, state, users, upstream)
            with closing(database):
                _run(
                    create_app(services, live.gauges),
                    listener,
                    live,
                    lambda: _started(services, ready),
                )


def _located(state: State, listening: Listening, listener: socket.socket) -> State:
    port = listener.getsockname()[1]
    if listening.public_url or not state.public:
        url = listening.public_url or origin(listening.scheme, listening.host, port)
        return states.with_url(state, url, port, public=bool(listening.public_url))
    return states.with_url(state, state.url, port, public=True)


def _started(services: Services, ready: Callable[[str], None]) -> None:
    url, root = services.state.url, services.tuf.root()
    fields = {
        "url": url, "port": services.state.port,
        "tuf_root": f"sha256:{sha256(root).hexdigest()}",
    }  # fmt: skip
    ready(url)  # first, for who reads both streams as one
    _log.info("started", extra={"fields": fields})
    if url.startswith("http:") and not is_local(url):
        _log.warning("plain-http", extra={"fields": {"note": "others can read tokens on the way"}})


def _open(
    data: Path, state: State, users: UsersFile | None, upstream: Upstream | None
) -> tuple[Database, Services]:
    try:
        database = Database(state.database)
        last = last_time(database)
        clock.check(state, last)
        services = assemble(state, database, users, clock.SteadyClock(last), upstream)
        states.forget_retired(state, datetime.now(UTC))
    except sqlite3.OperationalError as error:  # no locks, no space, no shared memory
        raise states.unusable(data, error) from error
    except (sqlite3.Error, ValueError, FormatError) as error:
        raise states.damaged(data, error) from error
    return database, services


class _Live:
    """What SIGHUP reads again."""

    def __init__(self, url: str, listening: Listening, users: UsersFile | None) -> None:
        self._url, self._listening, self._users = url, listening, users
        self._ends: datetime | None = None
        self.proxy = listening.proxy
        self.context = None if listening.certificate is None else tls.server_context()
        self._load_certificate()

    def reload(self) -> None:
        """Take the certificate and the users as they are now; what is bad changes nothing."""
        try:
            self._load_certificate()
            if self._users is not None:
                self._users.reload()
        except ModelSealError as error:
            _log.error("not-reloaded", extra={"fields": {"reason": shown(str(error))}})
        else:
            _log.info("reloaded")

    def _load_certificate(self) -> None:
        certificate, key = self._listening.certificate, self._listening.key
        if self.context is not None and certificate is not None and key is not None:
            now = datetime.now(UTC)
            self._ends = tls.load(self.context, certificate, key, url=self._url, now=now)

    def gauges(self) -> Gauges:
        """Return when the TLS certificate ends, if there is one."""
        if self._ends is None:
            return {}
        moment = self._ends.timestamp()
        return {"tls_certificate_ends_seconds": ("When the TLS certificate ends.", moment)}


class _Server(uvicorn.Server):
    """Calls `ready` when it answers, and `reload` on SIGHUP."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], reload: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready, self._reload = ready, reload

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        self._ready()


class _Protocol(H11Protocol):
    """Bounds the wait for a request and the connections of an address.

    What is not even HTTP is answered like every other refusal.
    """

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn narrows it too
        super().connection_made(transport)
        if self._is_greedy():
            transport.abort()
        else:
            self._expect_head()

    def _is_greedy(self) -> bool:
        """Return whether the client has too many connections; a proxy has those of everybody."""
        address = self.client[0] if self.client else ""
        if self.config.proxy_headers and self.config.forwarded_allow_ips == [address]:
            return False
        clients = (getattr(one, "client", None) for one in self.connections)
        own = [client for client in clients if client and client[0] == address]
        return len(own) > _MAX_OF_ADDRESS

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


def _run(app: ASGIApp, listener: socket.socket, live: _Live, ready: Callable[[], None]) -> None:
    context = live.context
    config = uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", loop="asyncio", log_config=None,
        access_log=False, server_header=False,
        proxy_headers=bool(live.proxy), forwarded_allow_ips=[live.proxy],
        ssl_context_factory=None if context is None else lambda *_: context,
        timeout_keep_alive=30, limit_concurrency=_MAX_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )  # fmt: skip
    # uvicorn raises the signal again when it has shut down: then there is nothing left to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    _Server(config, ready, live.reload).run(sockets=[listener])
