# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, as the errors that MLServer turns into REST and gRPC answers."""

from __future__ import annotations

import re
from http import HTTPStatus

from mlserver.errors import MLServerError

from modelseal.errors import ModelSealError, PolicyRefused, Undecided, UsageError, shown

# gRPC puts the text into metadata, which clients bound to 8 kB; names in it are already bounded
_TEXT_LIMIT = 1500
# An absolute path, to the end of its quotes if it has any, which are not in the middle of a word.
_PATH = re.compile(r"(?<=')/.*?(?='(?!\w))|(?<![\w/:.'])/[^\s'\"]+")


class Refused(MLServerError):  # type: ignore[misc]  # noqa: N818 - no types; a word of the design
    """A model that is not served: 4xx when it is the model's fault, 500 when it is ours."""

    def __init__(self, text: str, status: HTTPStatus, code: str = "internal") -> None:
        super().__init__(text, status)
        self.code = code


def not_found(name: str) -> Refused:
    """Return the answer about a name that no model has."""
    return Refused(f"Model '{shown(name)}' not found", HTTPStatus.NOT_FOUND, "not-found")


def unlistable() -> Refused:
    """Return the answer when the models folder itself cannot be read."""
    error = Undecided("models-unreadable", "The models folder cannot be listed.")
    return Refused(str(error), HTTPStatus.INTERNAL_SERVER_ERROR, error.code)


def refused(name: str, error: Exception) -> Refused:
    """Return the answer to `error` about the model `name`: one bounded line, ending in the code.

    Whoever asks a server learns nothing of its folders: of a path there is the last part.
    """
    code = error.code if isinstance(error, ModelSealError) else "internal"
    return Refused(_without_folders(described(name, error)), _status(error), code)


def described(name: str, error: Exception) -> str:
    """Return what happened in full, for the log: one bounded line."""
    model = f"model '{shown(name)}'"
    if not isinstance(error, ModelSealError):
        return f"Cannot verify {model}: internal error, see the server's log [internal]"
    reason = shown(str(error), _TEXT_LIMIT)
    if isinstance(error, Undecided | UsageError):
        return f"Cannot verify {model}: {reason}"
    if error.code == "unsigned":
        return f"Unsigned {model}: {reason}"
    if isinstance(error, PolicyRefused) and error.verdict.signatures and not error.verdict.diff:
        return f"Refused {model}: {reason}"  # the signature holds, and is over these files
    return f"Invalid signature for {model}: {reason}"


def _status(error: Exception) -> HTTPStatus:
    ours = not isinstance(error, ModelSealError) or (
        isinstance(error, Undecided | UsageError) and error.code.startswith("store-")
    )
    return HTTPStatus.INTERNAL_SERVER_ERROR if ours else HTTPStatus.BAD_REQUEST


def _without_folders(text: str) -> str:
    return _PATH.sub(lambda path: path[0].rpartition("/")[2], text)
