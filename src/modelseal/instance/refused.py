# SPDX-License-Identifier: Apache-2.0
"""Why a request was turned down, with the HTTP status that says so."""

from __future__ import annotations

from modelseal.errors import ModelSealError


class Refused(ModelSealError):  # noqa: N818 - read aloud: "raise Refused"
    """A request that gets `status` and a JSON body with `code` and `message`.

    With `retry_after` the answer says in how many seconds to try again (RFC 9110 section 10.2.3).
    """

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", *, retry_after: int = 0
    ) -> None:
        super().__init__(code, message, hint)
        self.status = status
        self.retry_after = retry_after
