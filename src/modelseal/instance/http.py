# SPDX-License-Identifier: Apache-2.0
"""What lies between HTTP and the handlers: bounded bodies, refusals as JSON, the right host."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.formats.strict import as_kind, parse_json
from modelseal.instance import html
from modelseal.instance.listening import host_headers
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from modelseal.instance.metrics import Metrics

BODY_LIMIT = 1 << 20
_BODY_SECONDS = 30
_OAUTH_PATHS = {"/auth", "/token"}

_log = logging.getLogger("modelseal.instance")


@dataclass(frozen=True)
class Asked:
    """A request, read to its end."""

    path: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    address: str  # the client's IP address

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object."""
        value = parse_json(self.body, what="request body", limit=BODY_LIMIT)
        return as_kind(value, dict, what="request body")

    def form(self) -> dict[str, str]:
        """Return the fields of a form; none twice, as with RFC 6749 section 3.2."""
        try:
            pairs = parse_qsl(
                self.body.decode("ascii"), keep_blank_values=True, max_num_fields=50,
                errors="strict",
            )  # fmt: skip
        except ValueError as error:
            raise Refused(400, "invalid_request", "The form cannot be read.") from error
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise Refused(400, "invalid_request", "A field of the form is there twice.")
        return fields


def route(
    path: str, method: str, handler: Callable[[Asked], Response], metrics: Metrics,
    *, at_once: int | None = None,
) -> Route:  # fmt: skip
    """Return the route that gives `handler` each request, whole, on a thread of its own.

    With `at_once` no more than so many requests are handled at the same time; the others wait
    without a thread. What the handler raises becomes JSON: a refusal as it is, anything else
    without its reason.
    """
    turn = nullcontext() if at_once is None else asyncio.Semaphore(at_once)

    async def endpoint(request: Request) -> Response:
        started = time.monotonic()
        response = await answer(request)
        metrics.answered(method, path, response.status_code, time.monotonic() - started)
        return response

    async def answer(request: Request) -> Response:
        try:
            body = await _body(request)
            asked = Asked(
                request.path_params, request.query_params, request.headers, body,
                _address(request.scope),
            )  # fmt: skip
            async with turn:
                return await run_in_threadpool(handler, asked)
        except ModelSealError as error:
            return _refusal(error, _accept(request), oauth=path in _OAUTH_PATHS)
        except sqlite3.Error as error:  # most likely a full disk: nothing was changed
            _log.error("storage", extra={"fields": {"reason": shown(str(error))}})
            message = "The instance cannot write to its disk."
            return _failure(503, "storage", message, _accept(request))
        except Exception:  # noqa: BLE001 - the log gets the traceback, the client a sentence
            _log.exception("failed")
            message = "The instance failed; its log says why."
            return _failure(500, "internal", message, _accept(request))

    return Route(path, endpoint, methods=[method])


def _address(scope: Scope) -> str:
    """Return the IP address of the client, behind a proxy that is believed."""
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _body(request: Request) -> bytes:
    """Return the body; a client may neither fill the memory nor hold a place for ever."""
    too_large = Refused(413, "too-large", f"A request body has at most {BODY_LIMIT} bytes.")
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise too_large
    except TimeoutError as error:
        raise Refused(408, "too-slow", "The request body did not arrive in time.") from error
    except ClientDisconnect as error:
        raise Refused(400, "cut-short", "The request body was cut short.") from error
    return bytes(body)


def _refusal(error: ModelSealError, accept: str, *, oauth: bool = False) -> Response:
    status = error.status if isinstance(error, Refused) else 400
    if isinstance(error, FormatError) and error.code == "too-large":
        status = 413
    # A default hint is for who sits at the command line, not for a client elsewhere.
    hint = "" if error.hint == error.default_hint else error.hint
    _log.info("refused", extra={"fields": {"status": status, "reason": shown(str(error))}})
    if html.wanted(accept):
        return _page(status, error.code, error.message, hint)
    content = {"code": error.code, "message": f"{error.message} {hint}".rstrip()}
    if oauth:  # RFC 6749 section 5.2
        content |= {"error": error.code, "error_description": error.message}
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def _failure(status: int, code: str, message: str, accept: str) -> Response:
    if html.wanted(accept):
        return _page(status, code, message)
    return JSONResponse({"code": code, "message": message}, status)


def _page(status: int, code: str, message: str, hint: str = "") -> Response:
    return HTMLResponse(html.error_page(message, hint, code), status, html.headers())


async def on_http_error(request: Request, error: Exception) -> Response:
    """Return the answer to a request that no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    names = {404: ("not-found", "There is nothing here."), 405: ("bad-method", "Not this method.")}
    code, message = names.get(status, ("bad-request", "The request cannot be served."))
    return _failure(status, code, message, _accept(request))


def _accept(request: Request) -> str:
    return request.headers.get("accept", "")


class Guard:
    """Refuses requests for another host (DNS rebinding), and logs each answer on one line."""

    def __init__(self, app: ASGIApp, url: str, port: int) -> None:
        self._app = app
        self._hosts = host_headers(url, port)
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but HTTP is served."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        request = Request(scope)
        host = request.headers.get("host", "").lower()
        try:
            if host in self._hosts:
                await self._app(scope, receive, send_noting)
            else:
                wrong = Refused(421, "wrong-host", f"This instance is at {self._url}.")
                refusal = _refusal(wrong, _accept(request))
                await refusal(scope, receive, send_noting)
        finally:
            # Never the query: it carries states and codes.
            fields = {
                "client": shown(_address(scope)),
                "method": shown(scope["method"]),
                "path": shown(scope["path"]),
                "status": status,
                "ms": round((time.monotonic() - started) * 1000, 1),
            }
            _log.info("request", extra={"fields": fields})
