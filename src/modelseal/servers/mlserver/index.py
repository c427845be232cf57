# SPDX-License-Identifier: Apache-2.0
"""The reason of a refusal in the repository index, for which MLServer has a field but no hook."""

from __future__ import annotations

from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from mlserver.handlers import ModelRepositoryHandlers

if TYPE_CHECKING:
    from mlserver.types import RepositoryIndexRequest, RepositoryIndexResponse

_MARK = "_modelseal_reasons"

# Set while an index is being answered: `list` of the repository fills in name -> reason. Unset when
# MLServer asks what to load at startup, where a refused model must not appear.
reasons: ContextVar[dict[str, str] | None] = ContextVar("reasons", default=None)


def explain() -> None:
    """Make the index of this process say why a model is refused; doing it twice is harmless.

    Without it (another MLServer, which has no such method) refused models are left out.
    """
    original = getattr(ModelRepositoryHandlers, "index", None)
    if original is None or hasattr(original, _MARK):
        return

    @wraps(original)
    async def index(
        self: Any,  # noqa: ANN401 - mlserver has no types
        payload: RepositoryIndexRequest,
    ) -> RepositoryIndexResponse:
        found: dict[str, str] = {}
        token = reasons.set(found)
        try:
            response = await original(self, payload)
        finally:
            reasons.reset(token)
        for item in response.root:
            item.reason = found.get(item.name, item.reason)
        return response

    setattr(index, _MARK, True)
    ModelRepositoryHandlers.index = index
