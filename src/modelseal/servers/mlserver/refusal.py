# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, as the errors that MLServer turns into REST and gRPC answers."""

from __future__ import annotations

from http import HTTPStatus

from mlserver.errors import MLServerError

from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError, shown

# gRPC puts the text into metadata, which clients bound to 8 kB; names in it are already bounded
_TEXT_LIMIT = 1500
_ABOUT_SETTINGS = ("name-", "runtime-", "environment-", "uri-")


class Refused(MLServerError):  # type: ignore[misc]  # noqa: N818 - no types; a word of the design
    """A model that is not served: 4xx when it is the model's fault, 500 when it is ours."""


def not_found(name: str) -> Refused:
    """Return the answer about a name that no model has."""
    return Refused(f"Model '{shown(name)}' not found", HTTPStatus.NOT_FOUND)


def unlistable() -> Refused:
    """Return the answer when the models folder itself cannot be read."""
    error = Undecided("models-unreadable", "The models folder cannot be listed.")
    return Refused(str(error), HTTPStatus.INTERNAL_SERVER_ERROR)


def refused(name: str, error: Exception) -> Refused:
    """Return the answer to `error` about the model `name`: one bounded line, ending in the code."""
    said = f"model '{shown(name)}'"
    if not isinstance(error, ModelSealError):
        text = f"Cannot verify {said}: internal error, see the server's log [internal]"
        return Refused(text, HTTPStatus.INTERNAL_SERVER_ERROR)
    reason = shown(str(error), _TEXT_LIMIT)
    if isinstance(error, Undecided | UsageError):
        ours = error.code.startswith("store-")
        status = HTTPStatus.INTERNAL_SERVER_ERROR if ours else HTTPStatus.BAD_REQUEST
        return Refused(f"Cannot verify {said}: {reason}", status)
    if isinstance(error, PolicyRefused) and error.code.startswith(_ABOUT_SETTINGS):
        return Refused(f"Refused {said}: {reason}", HTTPStatus.BAD_REQUEST)
    return Refused(f"Invalid signature for {said}: {reason}", HTTPStatus.BAD_REQUEST)
