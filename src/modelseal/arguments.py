# SPDX-License-Identifier: Apache-2.0
"""An empty value is a mistake, such as a variable that is not set; it never means "not given"."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from modelseal.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


def check_not_empty(name: str, value: object) -> None:
    """Check that `value`, called `name` by whoever gave it, is no empty text and holds none.

    White space alone is empty too.

    Raises:
        UsageError: it is, or one in a list is ("empty-value").
    """
    if isinstance(value, (str, bytes)):
        if not value.strip():
            raise empty(name)
    elif isinstance(value, (list, tuple)):
        for item in value:
            check_not_empty(name, item)


def empty(name: str) -> UsageError:
    """Return the refusal of an empty value for what is called `name`."""
    message = f"{name[:1].upper()}{name[1:]} is empty."
    return UsageError("empty-value", message, "Give it a value, or leave it out.")


def warn_deprecated(message: str) -> None:
    """Warn whoever called this package that what they use will go."""
    import inspect  # noqa: PLC0415 - only callers of what is old wait for it
    import warnings  # noqa: PLC0415 - as `inspect`

    level, frame = 1, inspect.currentframe()
    while frame is not None and _is_inside(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def _is_inside(module: str) -> bool:
    """Return whether `module` is ours, or stands between our functions, as that of `with` does."""
    return module.partition(".")[0] in {"modelseal", "contextlib"}


def no_empty_values(function: Callable[P, R]) -> Callable[P, R]:
    """Have `function` refuse empty texts as arguments, with `UsageError`."""
    # The start of every command is too short for the module `inspect`.
    names = function.__code__.co_varnames

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in (*zip(names, args, strict=False), *kwargs.items()):
            check_not_empty(f"'{name}'", value)
        return function(*args, **kwargs)

    return checked
