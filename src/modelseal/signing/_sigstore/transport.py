# SPDX-License-Identifier: Apache-2.0
"""How the services are spoken to: with patience that ends, and failures said in words."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from requests.adapters import HTTPAdapter
from sigstore import oidc
from sigstore._internal.fulcio.client import FulcioClientError
from sigstore._internal.rekor import RekorClientError
from sigstore.errors import Error

from modelseal.errors import SignInNeeded, Undecided, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

TIMEOUT = 30  # seconds; sigstore-python waits five for a timestamp, and for ever for the rest


def patient(session: requests.Session, name: str, hint: str) -> None:
    """Have requests of `session` end, and their failures name the service; `hint` is for a no."""
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Service(name, hint))


@contextmanager
def translated() -> Iterator[None]:
    """Turn what sigstore-python raises when it signs into our errors.

    Raises:
        SignInNeeded: the identity token has expired. Undecided: anything else ("signing-failed").
    """
    try:
        yield
    except oidc.ExpiredIdentity as error:
        raise SignInNeeded(
            "token-expired", "The identity token has expired.", "Get a new token."
        ) from error
    except _FAILURES as error:
        message = f"Signing failed: {shown(str(error) or type(error).__name__)}."
        raise Undecided("signing-failed", message, "See the log of the instance.") from error


# What sigstore-python raises of answers that are none is not all of one family.
_FAILURES = (
    Error, FulcioClientError, RekorClientError, requests.RequestException,
    ValueError, KeyError, TypeError, LookupError, AttributeError,
)  # fmt: skip


class _Service(HTTPAdapter):
    """Transport with a timeout whose failures are said in words; nothing is sent twice."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__()
        self._name, self._hint = name, hint

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed through
        try:
            response = super().send(request, **kwargs | {"timeout": TIMEOUT})
        except requests.RequestException as error:
            raise Undecided(
                "instance-unreachable",
                f"The {self._name} at {shown(request.url or '')} does not answer.",
                "Check that the instance is up, then sign again; nothing was written.",
            ) from error
        if response.status_code == HTTPStatus.CONFLICT:
            raise Undecided(
                "already-logged",
                f"The {self._name} has this very signature already: {_reason(response)}.",
                "An RSA key signs a file alike every time. Use the bundle of the first time.",
            )
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise Undecided(
                "instance-refused",
                f"The {self._name} answered {response.status_code}: {_reason(response)}.",
                self._hint,
            )
        return response


def _reason(response: requests.Response) -> str:
    try:
        said = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text or response.reason
    return shown(str(said)).rstrip(".")
