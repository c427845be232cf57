# SPDX-License-Identifier: Apache-2.0
"""HTTP in front of the services: routes, bounded bodies, and every refusal as 4xx JSON."""

from __future__ import annotations

import asyncio
import binascii
import logging
import sqlite3
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.formats import tiles
from modelseal.formats.strict import as_kind, parse_json
from modelseal.instance import ct_api, entries, pages, tokens, trust, tsa
from modelseal.instance.refused import Refused
from modelseal.instance.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_LIMIT = 1 << 20
_BODY_SECONDS = 30
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-cache"}
_BINARY = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
_OAUTH_PATHS = {"/auth", "/token"}

_log = logging.getLogger("modelseal.instance")


@dataclass(frozen=True)
class Asked:
    """A request, read to its end."""

    path: Mapping[str, Any]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

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


Handler = Callable[[Services, Asked], Response]


def create_app(services: Services) -> ASGIApp:
    """Return the ASGI application of the instance."""
    routes = [
        _route(services, path, method, handler) for (path, method), handler in _HANDLERS.items()
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _on_http_error})
    return _Guard(app, services.state.url)


def _route(services: Services, path: str, method: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            asked = Asked(request.path_params, request.query_params, request.headers, body)
            return await run_in_threadpool(handler, services, asked)
        except ModelSealError as error:
            return _refusal(error, oauth=path in _OAUTH_PATHS)
        except sqlite3.Error as error:  # most likely a full disk: nothing was changed
            _log.error("storage", extra={"fields": {"reason": shown(str(error))}})
            return _answer_failure(503, "storage", "The instance cannot write to its disk.")
        except Exception:  # noqa: BLE001 - the log gets the traceback, the client a sentence
            _log.exception("failed")
            return _answer_failure(500, "internal", "The instance failed; its log says why.")

    return Route(path, endpoint, methods=[method])


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


def _refusal(error: ModelSealError, *, oauth: bool = False) -> Response:
    status = error.status if isinstance(error, Refused) else 400
    if isinstance(error, FormatError) and error.code == "too-large":
        status = 413
    content = {"code": error.code, "message": " ".join(filter(None, (error.message, error.hint)))}
    if oauth:  # RFC 6749 section 5.2
        content |= {"error": error.code, "error_description": error.message}
    _log.info("refused", extra={"fields": {"status": status, "reason": shown(str(error))}})
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def _answer_failure(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    names = {404: ("not-found", "There is nothing here."), 405: ("bad-method", "Not this method.")}
    code, message = names.get(status, ("bad-request", "The request cannot be served."))
    return _answer_failure(status, code, message)


class _Guard:
    """Refuses requests for another host (DNS rebinding), and logs each answer on one line."""

    def __init__(self, app: ASGIApp, url: str) -> None:
        self._app = app
        own = url.partition("://")[2]
        port = own.rpartition(":")[2]
        self._hosts = {own, f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.monotonic()
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        host = Request(scope).headers.get("host", "")
        try:
            if host in self._hosts:
                await self._app(scope, receive, send_noting)
            else:
                refusal = _refusal(Refused(421, "wrong-host", "This is not that host."))
                await refusal(scope, receive, send_noting)
        finally:
            # Never the query: it carries states and codes.
            fields = {
                "method": shown(scope["method"]), "path": shown(scope["path"]), "status": status,
                "ms": round((time.monotonic() - started) * 1000, 1),
            }  # fmt: skip
            _log.info("request", extra={"fields": fields})


def _about(services: Services, _asked: Asked) -> Response:
    return JSONResponse(
        {
            "name": "modelseal instance",
            "url": services.state.url,
            "origin": services.state.origin,
            "trust_config": f"{services.state.url}/trust-config.json",
            "tuf_root": f"{services.state.url}/root.json",
        }
    )


def _discovery(services: Services, _asked: Asked) -> Response:
    return JSONResponse(services.sign_in.discovery())


def _keys(services: Services, _asked: Asked) -> Response:
    return JSONResponse(tokens.key_set(services.sign_in.key))


def _ask_identity(services: Services, asked: Asked) -> Response:
    authorization = services.sign_in.authorize(asked.query)
    page = pages.sign_in_page(authorization, ask_password=services.sign_in.users is not None)
    return HTMLResponse(page, headers=pages.headers(authorization))


def _take_identity(services: Services, asked: Asked) -> Response:
    form = asked.form()
    sign_in = services.sign_in
    authorization = sign_in.authorize(form)
    identity = form.get("identity", "")
    try:
        code = sign_in.grant(authorization, identity, form.get("password", ""), services.clock())
    except Refused as error:
        page = pages.sign_in_page(
            authorization, ask_password=sign_in.users is not None,
            identity=identity, complaint=error.message,
        )  # fmt: skip
        return HTMLResponse(page, error.status, pages.headers(authorization))
    target = authorization.answer(code)
    headers = pages.headers(authorization)
    if target is None:
        return HTMLResponse(pages.code_page(code), headers=headers)
    return RedirectResponse(target, 303, headers)


def _token(services: Services, asked: Asked) -> Response:
    form = asked.form()
    client = _basic_user(asked.headers.get("authorization", "")) or form.get("client_id", "")
    answer = services.sign_in.exchange(form, client, services.clock())
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


def _basic_user(header: str) -> str:
    """Return the client id of HTTP Basic (RFC 6749 section 2.3.1); our client has no secret."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return unquote_plus(b64decode(value, validate=True).decode().partition(":")[0])
    except (binascii.Error, ValueError):
        return ""


def _signing_cert(services: Services, asked: Asked) -> Response:
    scheme, _, bearer = asked.headers.get("authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else None
    chain = services.ca.sign(asked.json(), token, services.clock())
    return JSONResponse({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})


def _trust_bundle(services: Services, _asked: Asked) -> Response:
    return JSONResponse({"chains": [{"certificates": services.ca.trust_bundle()}]})


def _add_entry(services: Services, asked: Asked) -> Response:
    entry = entries.parse_request(asked.json())
    return JSONResponse(services.log.add(entry), 201)


def _checkpoint(services: Services, _asked: Asked) -> Response:
    return Response(services.log.checkpoint(), media_type=_TEXT, headers=_FRESH)


def _tile(services: Services, asked: Asked) -> Response:
    try:
        tile = tiles.parse_path("tile/" + asked.path["tile"])
    except FormatError as error:
        raise Refused(404, error.code, error.message) from error
    return Response(services.log.tile(tile), media_type=_BINARY, headers=_FOREVER)


def _timestamp(services: Services, asked: Asked) -> Response:
    as_json = asked.headers.get("content-type", "").startswith("application/json")
    query = tsa.query_of_json(asked.json()) if as_json else asked.body
    answer = services.tsa.respond(query, services.clock())
    return Response(answer, media_type="application/timestamp-reply")


def _timestamp_chain(services: Services, _asked: Asked) -> Response:
    return Response(services.tsa.chain_pem(), media_type="application/pem-certificate-chain")


def _trust_config(services: Services, _asked: Asked) -> Response:
    return _document(trust.trust_config(services.state))


def _trusted_root(services: Services, _asked: Asked) -> Response:
    return _document(trust.trusted_root(services.state))


def _signing_config(services: Services, _asked: Asked) -> Response:
    return _document(trust.signing_config(services.state))


def _document(document: dict[str, Any]) -> Response:
    return Response(trust.to_bytes(document), media_type="application/json", headers=_FRESH)


def _target(services: Services, asked: Asked) -> Response:
    return Response(services.tuf.target(asked.path["target"]), media_type=_BINARY, headers=_FOREVER)


def _metadata(services: Services, asked: Asked) -> Response:
    body = services.tuf.metadata(asked.path["name"] + ".json", services.clock())
    return Response(body, media_type="application/json", headers=_FRESH)


def _ct(name: str) -> Handler:
    def handler(services: Services, asked: Asked) -> Response:
        answer = ct_api.answer(services.ct_log, name, asked.query, services.clock())
        return JSONResponse(answer, headers=_FRESH)

    return handler


_HANDLERS: dict[tuple[str, str], Handler] = {
    ("/", "GET"): _about,
    ("/.well-known/openid-configuration", "GET"): _discovery,
    ("/keys", "GET"): _keys,
    ("/auth", "GET"): _ask_identity,
    ("/auth", "POST"): _take_identity,
    ("/token", "POST"): _token,
    ("/api/v2/signingCert", "POST"): _signing_cert,
    ("/api/v2/trustBundle", "GET"): _trust_bundle,
    ("/api/v2/log/entries", "POST"): _add_entry,
    ("/checkpoint", "GET"): _checkpoint,
    ("/tile/{tile:path}", "GET"): _tile,
    ("/api/v2/checkpoint", "GET"): _checkpoint,
    ("/api/v2/tile/{tile:path}", "GET"): _tile,
    ("/api/v1/timestamp", "POST"): _timestamp,
    ("/api/v1/timestamp/certchain", "GET"): _timestamp_chain,
    **{(f"/ct/ct/v1/{name}", "GET"): _ct(name) for name in ct_api.NAMES},
    ("/trust-config.json", "GET"): _trust_config,
    ("/trusted-root.json", "GET"): _trusted_root,
    ("/signing-config.json", "GET"): _signing_config,
    ("/targets/{target}", "GET"): _target,
    ("/{name}.json", "GET"): _metadata,
}
