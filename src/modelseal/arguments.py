# SPDX-License-Identifier: Apache-2.0
"""An empty value is a mistake, such as a variable that is not set; it never means "not given"."""

from __future__ import annotations

from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from modelseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def check_not_empty(name: str, value: object) -> None:
    """Check that `value`, called `name` by whoever gave it, is not an empty text.

    Raises:
        UsageError: it is ("empty-value").
    """
    if isinstance(value, (str, bytes)) and not value.strip():
        raise empty(name)


def empty(name: str) -> UsageError:
    """Return the refusal of an empty value for what is called `name`."""
    return UsageError(
        "empty-value",
        f"The value of {name} is empty.",
        "Check the variable or file that it comes from; leave it out if none is meant.",
    )


def no_empty_values(function: Callable[P, R]) -> Callable[P, R]:
    """Have `function` refuse empty texts as arguments, with `UsageError`."""
    parameters = signature(function)

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in parameters.bind(*args, **kwargs).arguments.items():
            check_not_empty(name, value)
        return function(*args, **kwargs)

    return checked
