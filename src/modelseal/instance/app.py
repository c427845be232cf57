# SPDX-License-Identifier: Apache-2.0
"""The routes of an instance: which service answers what."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from modelseal.errors import FormatError
from modelseal.formats import tiles
from modelseal.instance import ct_api, entries, health, html, pages, site, tokens, trust, tsa
from modelseal.instance.http import Asked, Guard, on_http_error, route
from modelseal.instance.metrics import MEDIA_TYPE, Metrics
from modelseal.instance.refused import Refused
from modelseal.instance.services import Services

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from modelseal.instance.oidc import Authorization

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-cache"}
_BINARY = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"

Handler = Callable[[Services, Asked], Response]


def create_app(services: Services, gauges: Callable[[], health.Gauges] = dict) -> ASGIApp:
    """Return the ASGI application of the instance; `gauges` are metrics of the server."""
    metrics = Metrics()

    def show_metrics(services: Services, _asked: Asked) -> Response:
        text = metrics.text({**health.gauges(services), **gauges()})
        return Response(text, media_type=MEDIA_TYPE, headers=_FRESH)

    routes = [
        route(
            path, method, partial(handler, services), metrics,
            at_once=_AT_ONCE.get((path, method)),
        )
        for (path, method), handler in {**_HANDLERS, ("/metrics", "GET"): show_metrics}.items()
    ]  # fmt: skip
    app = Starlette(routes=routes, exception_handlers={HTTPException: on_http_error})
    return Guard(app, services.state.url, services.state.port)


def _alive(_services: Services, _asked: Asked) -> Response:
    return JSONResponse({"status": "ok"}, headers=_FRESH)


def _ready(services: Services, _asked: Asked) -> Response:
    health.check(services)
    return JSONResponse({"status": "ready"}, headers=_FRESH)


def _about(services: Services, asked: Asked) -> Response:
    if html.wanted(asked.headers.get("accept", "")):
        return HTMLResponse(site.home(services), headers=html.headers(cache="no-cache"))
    return JSONResponse(
        {
            "name": "modelseal instance",
            "url": services.state.url,
            "origin": services.state.origin,
            "trust_config": f"{services.state.url}/trust-config.json",
            "tuf_root": f"{services.state.url}/root.json",
        },
        headers={"Vary": "Accept"},
    )


def _search(services: Services, asked: Asked) -> Response:
    query = asked.query.get("q", "")
    position = site.direct(query)
    if position is not None:
        return RedirectResponse(f"/entries/{position}", 303)
    page = site.search(services, query, asked.query.get("before", ""))
    return HTMLResponse(page, headers=html.headers(cache="no-cache"))


def _entry(services: Services, asked: Asked) -> Response:
    position = site.direct(asked.path["index"])
    if position is None:
        raise Refused(404, "not-found", "That is not the index of an entry.")
    page = site.entry_page(services, position)
    return HTMLResponse(page, headers=html.headers(cache="no-cache"))


def _discovery(services: Services, _asked: Asked) -> Response:
    return JSONResponse(services.sign_in.discovery())


def _keys(services: Services, _asked: Asked) -> Response:
    return JSONResponse(tokens.key_set(services.sign_in.key))


def _ask_identity(services: Services, asked: Asked) -> Response:
    authorization = services.sign_in.authorize(asked.query)
    page = _sign_in_page(services, authorization)
    return HTMLResponse(page, headers=pages.headers(authorization))


def _sign_in_page(
    services: Services, authorization: Authorization, *, identity: str = "", complaint: str = ""
) -> str:
    return pages.sign_in_page(
        authorization,
        ask_password=services.sign_in.users is not None,
        encrypted=services.state.url.startswith("https:"),
        identity=identity, complaint=complaint,
    )  # fmt: skip


def _take_identity(services: Services, asked: Asked) -> Response:
    form = asked.form()
    sign_in = services.sign_in
    authorization = sign_in.authorize(form)
    identity = form.get("identity", "")
    try:
        code = sign_in.grant(
            authorization, identity, form.get("password", ""),
            address=asked.address, now=services.clock(),
        )  # fmt: skip
    except Refused as error:
        page = _sign_in_page(services, authorization, identity=identity, complaint=error.message)
        headers = pages.headers(authorization)
        if error.retry_after:
            headers["Retry-After"] = str(error.retry_after)
        return HTMLResponse(page, error.status, headers)
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
    return JSONResponse(services.log.add(entry, services.clock()), 201)


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


# Hashing a password takes 32 MiB: guesses must take neither the machine's memory nor the threads
# that the other services need.
_AT_ONCE = {("/auth", "POST"): 2}

_HANDLERS: dict[tuple[str, str], Handler] = {
    ("/", "GET"): _about,
    ("/search", "GET"): _search,
    ("/entries/{index}", "GET"): _entry,
    ("/healthz", "GET"): _alive,
    ("/readyz", "GET"): _ready,
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
