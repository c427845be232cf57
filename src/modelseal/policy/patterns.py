# SPDX-License-Identifier: Apache-2.0
"""Patterns over identities that cannot be written too loosely, matched in linear time.

A pattern is over a whole URI, such as that of a workflow, and begins with a literal scheme, host
and owner: `https://github.com/acme/`. An e-mail address is one person, so there is no pattern for
it. What is matched comes from a certificate, whose owner chose it: no backtracking.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import SchemaValidator

_OWNED = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@]+/[^/?#@]+/")
_WILDCARD = re.compile(r"\*\*|\*|\?")
_LONGEST = 4096  # characters of an identity that are matched
_LITERAL = frozenset("/:_-@%~,=&;")  # beside letters and digits: without a meaning in a regex
_ESCAPED = frozenset("\\.+*?()|[]{}^$#&-~/:@")  # stand for themselves behind a backslash
_QUANTIFIERS = frozenset("?*+{")


@dataclass(frozen=True)
class Glob:
    """`*` is any text without `/` and `@`, `**` without `@`, `?` one character of `*`.

    In the identity of a workflow, `PATH@REF`, no wildcard reaches from the path into the ref.
    """

    text: str

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        """Return the wildcards and single characters of the pattern."""
        return tuple(re.findall(r"\*\*|.", self.text, re.DOTALL))

    @property
    def literal(self) -> str:
        """Return the part before the first wildcard."""
        return _WILDCARD.split(self.text, maxsplit=1)[0]

    def matches(self, text: str) -> bool:
        """Return whether the pattern covers all of `text`."""
        if len(text) > _LONGEST:
            return False
        tokens = self._tokens
        states = _reachable({0}, tokens)
        for character in text:
            states = _reachable(
                {next_ for state in states for next_ in _steps(tokens, state, character)}, tokens
            )
        return len(tokens) in states

    def check_owned(self) -> None:
        """Check that the pattern begins with a literal scheme, host and owner.

        Raises:
            UsageError: it does not, so it could cover strangers ("loose-pattern").
        """
        if not _OWNED.match(self.literal):
            raise _loose(self.text, "Write them out, as in https://github.com/acme/models/*")

    def __str__(self) -> str:
        return self.text


def _reachable(states: set[int], tokens: Sequence[str]) -> set[int]:
    """Return `states` and those reached from them by wildcards that stand for nothing."""
    for state in sorted(states):
        following = state
        while following < len(tokens) and tokens[following] in {"*", "**"}:
            following += 1
            states.add(following)
    return states


def _steps(tokens: Sequence[str], state: int, character: str) -> tuple[int, ...]:
    """Return the states that `character` leads to from `state`."""
    part = tokens[state] if state < len(tokens) else ""
    stays, advances = part in {"*", "**"}, part == "?"
    if not stays and not advances:
        return (state + 1,) if part == character else ()
    if character == "@" or (character == "/" and part != "**"):
        return ()
    return (state,) if stays else (state + 1,)


@dataclass(frozen=True)
class Regex:
    """A regular expression in the syntax of RE2, without backreferences and look-around.

    Raises:
        UsageError: it does not compile ("bad-pattern").
    """

    text: str

    def __post_init__(self) -> None:
        _compiled(self.text)
        # Balanced by itself, so that what is put around it stays around all of it.
        _compiled(self._whole)

    @property
    def _whole(self) -> str:
        return rf"\A(?:{self.text})\z"

    @cached_property
    def literal(self) -> str:
        """Return the part at the start that can only be read as itself."""
        found: list[str] = []
        rest = self.text
        while rest:
            character, rest = rest[0], rest[1:]
            if character == "\\" and rest[:1] in _ESCAPED:
                character, rest = rest[0], rest[1:]
            elif not (character.isascii() and character.isalnum()) and character not in _LITERAL:
                break
            if rest[:1] in _QUANTIFIERS:
                break
            found.append(character)
        return "".join(found)

    def matches(self, text: str) -> bool:
        """Return whether the pattern covers all of `text`, which begins with the literal owner.

        The latter holds for each alternative, also of `https://host/owner/a|.*`.
        """
        owner = _OWNED.match(self.literal)
        if len(text) > _LONGEST or not text.startswith(owner[0] if owner else ""):
            return False
        return _compiled(self._whole).isinstance_python(text)

    def check_owned(self) -> None:
        """Check that the pattern begins with a literal scheme, host and owner.

        Raises:
            UsageError: it does not, so it could cover strangers ("loose-pattern").
        """
        if not _OWNED.match(self.literal):
            example = r"https://github\.com/acme/.*"
            raise _loose(self.text, f"Write them out, with a backslash before each dot: {example}")

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> SchemaValidator:
    """Return what matches `pattern` in linear time: Rust's regex crate, by way of pydantic-core.

    Raises:
        UsageError: not a regular expression, or one that is too large ("bad-pattern").
    """
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # noqa: PLC0415 - seldom

    schema = core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True)
    try:
        return SchemaValidator(schema)
    except SchemaError as error:
        why = shown(str(error).strip().splitlines()[-1].strip())
        message = f"'{shown(pattern)}' is not a regular expression: {why}."
        raise UsageError("bad-pattern", message, "The syntax is that of RE2.") from error


def _loose(text: str, hint: str) -> UsageError:
    message = (
        f"The pattern '{shown(text)}' must begin with a literal scheme, host and owner, "
        "each followed by what separates it from the next."
    )
    if "@" in text and "://" not in text:
        hint = "An e-mail address is one person: give each of them as a signer of their own."
    return UsageError("loose-pattern", message, hint)
