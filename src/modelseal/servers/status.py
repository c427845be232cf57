# SPDX-License-Identifier: Apache-2.0
"""What a running server says of its models: the index of the V2 protocol, and whether it verifies.

https://github.com/kserve/open-inference-protocol and Triton's model repository extension.
"""

from __future__ import annotations

import json
import re
import time
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats.strict import as_kind, member, optional, parse_json

if TYPE_CHECKING:
    from http.client import HTTPResponse

    Verdict = Literal["accepted", "refused", "undecided", "unknown"]

EXTENSION = "modelseal"  # by which a server says that it verifies its models
_LIMIT = 16 * 1024 * 1024  # bytes of an answer
_PART = 64 * 1024  # bytes
_SECONDS = 30  # for an answer
_CODE = re.compile(r"\[([a-z0-9]+(?:-[a-z0-9]+)*)\]$")


class ModelStatus(NamedTuple):
    """One line of the index; `verdict` and `code` are those that the reason ends in.

    A model without a reason was accepted, if the server says that it verifies; else nobody knows.
    """

    name: str
    version: str | None
    state: str
    verdict: Verdict
    code: str
    reason: str


class ServerStatus(NamedTuple):
    """What a server says of itself; `verifies` if it says that it loads only accepted models."""

    url: str
    name: str
    release: str
    verifies: bool
    models: tuple[ModelStatus, ...]


def ask(url: str) -> ServerStatus:
    """Return the status of the server at `url`.

    Raises:
        UsageError: no http or https URL. Undecided: it does not answer ("server-unreachable").
    """
    _check_url(url)
    base = url.rstrip("/")
    try:
        about = as_kind(_answer(f"{base}/v2", None), dict, what="metadata")
        extensions = optional(about, "extensions", list, what="metadata") or []
        verifies = EXTENSION in extensions
        index = as_kind(_answer(f"{base}/v2/repository/index", {}), list, what="index")
        return ServerStatus(
            url,
            member(about, "name", str, what="metadata"),
            optional(about, "version", str, what="metadata") or "",
            verifies,
            tuple(_model(item, verifies=verifies) for item in index),
        )
    except (OSError, HTTPException, ValueError, FormatError) as error:
        raise Undecided(
            "server-unreachable",
            f"The server at {shown(url)} does not answer as a V2 inference server: "
            f"{shown(str(error))}.",
            "Check that it runs, and give the URL of its HTTP port, such as http://127.0.0.1:8080",
        ) from error


def _model(item: object, *, verifies: bool) -> ModelStatus:
    found = as_kind(item, dict, what="index")
    reason = optional(found, "reason", str, what="index") or ""
    verdict, code = _verdict(reason, verifies=verifies)
    return ModelStatus(
        member(found, "name", str, what="index"),
        optional(found, "version", str, what="index"),
        member(found, "state", str, what="index"),
        verdict, code, reason,
    )  # fmt: skip


def _verdict(reason: str, *, verifies: bool) -> tuple[Verdict, str]:
    """Return what `refusal.described` put into the reason."""
    if not verifies:
        return "unknown", ""
    if not reason:
        return "accepted", "accepted"
    match = _CODE.search(reason)
    if match is None:
        return "unknown", ""
    return ("undecided" if reason.startswith("Cannot verify ") else "refused"), match[1]


def _answer(url: str, body: dict[str, Any] | None) -> object:
    """Return the JSON that comes from `url`, bounded in size and time.

    Raises:
        OSError, HTTPException: no answer, or one that is an error. FormatError: no JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - checked
    with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
        return parse_json(_read(answer), what="answer", limit=_LIMIT)


def _read(answer: HTTPResponse) -> bytes:
    deadline = time.monotonic() + _SECONDS
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_PART):
        parts.append(part)
        size += len(part)
        if size > _LIMIT:
            raise FormatError("too-large", f"The answer is larger than {_LIMIT} bytes.")
        if time.monotonic() > deadline:
            raise TimeoutError("the answer takes too long")
    return b"".join(parts)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_http = parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable()
    except ValueError:
        is_http = False
    if not is_http:
        message = f"'{shown(url)}' is not an http or https URL."
        raise UsageError("bad-url", message, "Give it like http://127.0.0.1:8080")
