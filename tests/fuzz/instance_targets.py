# SPDX-License-Identifier: Apache-2.0
"""What is fuzzed of the private instance: every request that anybody may send to it."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.formats.strict import as_kind, parse_json
from modelseal.instance import app, ca, ct_api, entries, services, state, tokens, tsa
from modelseal.instance.database import Database
from modelseal.instance.http import Asked

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = tempfile.TemporaryDirectory(prefix="modelseal-fuzz-")
URL = "http://127.0.0.1:1"


@cache
def instance() -> services.Services:
    """Return a new instance, made once: it signs whatever it is asked to."""
    data = Path(FOLDER.name) / "data"
    state.create(data, datetime.now(UTC))
    loaded = state.with_url(state.load(data), URL)
    return services.assemble(loaded, Database(loaded.database), None)


def now() -> float:
    return datetime.now(UTC).timestamp()


def json(data: bytes) -> dict:
    return as_kind(parse_json(data, what="value", limit=1 << 20), dict, what="value")


def form(data: bytes) -> dict[str, str]:
    return Asked({}, {}, {}, data, "127.0.0.1").form()


def certificate_request(data: bytes) -> None:
    ca._proven_key(json(data), "alice@example.com")


def identity_token(data: bytes) -> None:
    running = instance()
    tokens.check(data.decode("latin-1"), running.state.keys.oidc, URL, now=now())


def sign_in(data: bytes) -> None:
    running = instance()
    fields = form(data)
    authorization = running.sign_in.authorize(fields)
    code = running.sign_in.grant(
        authorization, fields.get("identity", ""), "", address="127.0.0.1", now=0
    )
    authorization.answer(code)


def token_form(data: bytes) -> None:
    instance().sign_in.exchange(form(data), tokens.CLIENT, now())


def ct_query(data: bytes) -> None:
    for name in ct_api.NAMES:
        ct_api.answer(instance().ct_log, name, form(data), now())


TARGETS: dict[str, Callable[[bytes], object]] = {
    "basic-authentication": lambda data: app._basic_user(data.decode("latin-1")),
    "certificate-request": certificate_request,
    "ct-query": ct_query,
    "identity": lambda data: tokens.parse_identity(data.decode("utf-8", "replace")),
    "identity-token": identity_token,
    "log-request": lambda data: entries.parse_request(json(data)),
    "sign-in": sign_in,
    "timestamp-query": lambda data: instance().tsa.respond(data, now()),
    "timestamp-query-json": lambda data: tsa._parse(tsa.query_of_json(json(data))),
    "token-form": token_form,
}
