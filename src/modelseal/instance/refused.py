# SPDX-License-Identifier: Apache-2.0
"""Why a request was turned down, with the HTTP status that says so."""

from __future__ import annotations

from modelseal.errors import ModelSealError


class Refused(ModelSealError):  # noqa: N818 - read aloud: "raise Refused"
    """A request that gets `status` and a JSON body with `code` and `message`."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.status = status
