# SPDX-License-Identifier: Apache-2.0
"""What MLServer has no hooks for: reasons in the index, loaded models, a sign that we are there.

All is done by wrapping methods of its handlers, and a test says so when one of them goes away.
A repository of ours has `attach(registry)` and the context `loading(name)`.
"""

from __future__ import annotations

from contextlib import nullcontext
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

from mlserver.errors import ModelNotFound
from mlserver.handlers import DataPlane, ModelRepositoryHandlers
from mlserver.types import State

from modelseal.servers.status import EXTENSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlserver.registry import MultiModelRegistry
    from mlserver.types import (
        MetadataServerResponse,
        RepositoryIndexRequest,
        RepositoryIndexResponse,
    )

    Reasons = dict[tuple[str, str | None], str]

_MARK = "_modelseal"

# Set while an index is being answered: `list` of the repository fills in (name, version) -> reason.
# Unset when MLServer asks what to load at startup, where a refused model must not appear.
reasons: ContextVar[Reasons | None] = ContextVar("reasons", default=None)


def install() -> None:
    """Wrap the methods in this process; doing it twice is harmless."""
    _wrap(ModelRepositoryHandlers, "__init__", _attaching)
    _wrap(ModelRepositoryHandlers, "index", _explaining)
    _wrap(ModelRepositoryHandlers, "load", _looking_again)
    _wrap(DataPlane, "metadata", _announcing)


def _wrap(owner: type, name: str, wrapper: Callable[[Any], Any]) -> None:
    original = getattr(owner, name, None)
    if original is None or hasattr(original, _MARK):
        return
    wrapped = wraps(original)(wrapper(original))
    setattr(wrapped, _MARK, True)
    setattr(owner, name, wrapped)


def _attaching(original: Any) -> Any:  # noqa: ANN401 - mlserver has no types; so below
    def init(
        self: Any,  # noqa: ANN401
        repository: Any,  # noqa: ANN401
        model_registry: MultiModelRegistry,
    ) -> None:
        original(self, repository=repository, model_registry=model_registry)
        if hasattr(repository, "attach"):
            repository.attach(model_registry)

    return init


def _explaining(original: Any) -> Any:  # noqa: ANN401
    async def index(
        self: Any,  # noqa: ANN401
        payload: RepositoryIndexRequest,
    ) -> RepositoryIndexResponse:
        found: Reasons = {}
        token = reasons.set(found)
        try:
            response = await original(self, payload)
        finally:
            reasons.reset(token)
        for item in response.root:
            item.reason = found.get((item.name, item.version), item.reason)
            if item.version is not None and not await _is_loaded(self, item.name, item.version):
                item.state = State.UNAVAILABLE  # MLServer says that of the default version
        if payload.ready:
            response.root = [item for item in response.root if item.state == State.READY]
        return response

    return index


async def _is_loaded(handlers: Any, name: str, version: str) -> bool:  # noqa: ANN401
    try:
        model = await handlers._model_registry.get_model(name, version)  # noqa: SLF001
    except ModelNotFound:
        return False
    return bool(model.ready)


def _looking_again(original: Any) -> Any:  # noqa: ANN401
    async def load(self: Any, name: str) -> bool:  # noqa: ANN401
        repository = self._repository
        surrounding = getattr(repository, "loading", nullcontext)
        async with surrounding(name):
            loaded: bool = await original(self, name)
        return loaded

    return load


def _announcing(original: Any) -> Any:  # noqa: ANN401
    async def metadata(self: Any) -> MetadataServerResponse:  # noqa: ANN401
        answer = await original(self)
        if EXTENSION not in answer.extensions:
            answer.extensions = [*answer.extensions, EXTENSION]
        return answer

    return metadata
