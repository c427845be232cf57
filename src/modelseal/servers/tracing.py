# SPDX-License-Identifier: Apache-2.0
"""Spans of OpenTelemetry, where the server has it: what is done without a tracer costs nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Note = Callable[[str, str], None]

_NAME = "modelseal"


@contextmanager
def span(name: str, **attributes: str) -> Iterator[Note]:
    """Surround the block with the span `modelseal.NAME`; give what sets further attributes.

    Attributes are named `modelseal.KEY`. Only the API of OpenTelemetry is needed, and if nobody has
    configured it, it does nothing.
    """
    try:
        from opentelemetry import trace  # noqa: PLC0415 - MLServer has it, other servers may
    except ImportError:
        yield lambda _key, _value: None
        return
    with trace.get_tracer(_NAME).start_as_current_span(f"{_NAME}.{name}") as current:

        def note(key: str, value: str) -> None:
            current.set_attribute(f"{_NAME}.{key}", value)

        for key, value in attributes.items():
            note(key, value)
        yield note
