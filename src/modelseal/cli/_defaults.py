# SPDX-License-Identifier: Apache-2.0
"""Options that need not be repeated: from the environment, or from the file given by `--config`.

A value comes from the first of: flag, environment, file. Options that exclude each other are one
`Choice`: the first of the three that makes the choice makes it alone, so that `--key` is not in
conflict with an identity in the environment; two answers in one place are an error. Nothing is
read that the caller did not name: no file beside a model, none of the working directory.

A command lists its choices with `add_defaults` and calls `apply_defaults` before it looks at its
options.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from modelseal.errors import UsageError, shown

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from modelseal.cli._options import Options

_PREFIX = "MODELSEAL_"
_LIMIT = 1024 * 1024  # bytes of a configuration file
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TOKEN_DOTS = 2  # a JWT has three parts


class Setting(NamedTuple):
    """An option by its `dest`, its name in the file, and in the environment after MODELSEAL_."""

    dest: str
    name: str
    is_path: bool = False  # in the file relative to the folder of the file
    is_number: bool = False  # and written in the file without quotes
    alias: str = ""  # a variable of another client that says the same

    @property
    def variable(self) -> str:
        """Return the environment variable."""
        return _PREFIX + self.name.upper()


class Choice(NamedTuple):
    """Alternatives, of which at most one is taken: each has settings that go together."""

    code: str  # of the error when one place has two
    alternatives: tuple[tuple[Setting, ...], ...]

    def settings(self) -> tuple[Setting, ...]:
        """Return the settings of all alternatives."""
        return tuple(setting for one in self.alternatives for setting in one)


SIGNER = Choice(
    "whose-signature",
    (
        (Setting("identities", "identity"), Setting("issuers", "issuer")),
        (Setting("keys", "key", is_path=True),),
        (
            Setting("certificate_chain", "certificate_chain", is_path=True),
            Setting("certificate_subject", "certificate_subject"),
        ),
        (Setting("publishers", "publisher"),),
        (
            Setting("policy", "policy", is_path=True),
            Setting("policy_signer", "policy_signer", is_path=True),
        ),
    ),
)
POLICY = Choice("whose-signature", ((Setting("policy", "policy", is_path=True),),))
TRUST = Choice(
    "conflicting-trust",
    (
        (Setting("trusted_root", "trusted_root", is_path=True),),
        (Setting("trust_config", "trust_config", is_path=True),),
        (Setting("instance", "instance"),),
        (Setting("staging", ""),),  # only a flag, which makes the choice all the same
    ),
)
SIGN_AS = Choice(
    "bad-options",
    (
        (
            Setting(
                "identity_token", "identity_token", is_path=True, alias="SIGSTORE_IDENTITY_TOKEN"
            ),
        ),
        (Setting("key", "signing_key", is_path=True),),
    ),
)
JOBS = Choice("bad-options", ((Setting("jobs", "jobs", is_number=True),),))
CHOICES = (SIGNER, TRUST, SIGN_AS, JOBS)
_CONFIG = Setting("config", "config")


class _Place(NamedTuple):
    """Where values come from: what they are called there, and the values by setting name."""

    labels: Mapping[str, str]
    values: Mapping[str, list[str]]


def add_defaults(parser: argparse.ArgumentParser, *choices: Choice) -> None:
    """Add `--config`, and say in the help of each option which variable it can come from."""
    parser.add_argument(
        "--config", metavar="FILE", help="Take options that are not given from this TOML file."
    )
    settings = {one.dest: one for choice in choices for one in choice.settings() if one.name}
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        setting = _CONFIG if action.dest == "config" else settings.get(action.dest)
        if setting is not None and setting.variable not in (action.help or ""):
            action.help = f"{action.help} [${setting.variable}]"


def apply_defaults(options: Options, *choices: Choice) -> None:
    """Set those options of `choices` that no flag set.

    Raises:
        UsageError: a value is empty, or a place has two that exclude each other.
        FormatError, Undecided: the configuration file cannot be used.
    """
    given = vars(options)
    places = [_environment(choices), *_file(given.get("config"))]
    for choice in choices:
        for setting in _chosen(choice, given, places):
            if not _is_given(given[setting.dest]):
                _set(options, setting, places)


def _chosen(
    choice: Choice, given: Mapping[str, Any], places: Sequence[_Place]
) -> tuple[Setting, ...]:
    """Return the alternative that is taken, by flags or else by the first place that has one.

    What the command has no option for is no alternative.
    """
    alternatives = [one for one in choice.alternatives if all(s.dest in given for s in one)]
    by_flags = [one for one in alternatives if any(_is_given(given[s.dest]) for s in one)]
    if by_flags:
        # Two of them are reported by the command, which knows what goes together.
        return by_flags[0] if len(by_flags) == 1 else ()
    for place in places:
        found = [one for one in alternatives if any(s.name in place.values for s in one)]
        if len(found) > 1:
            labels = [place.labels[s.name] for one in found for s in one if s.name in place.values]
            message = f"{' and '.join(labels)} exclude each other."
            raise UsageError(choice.code, message, "Keep one of them, or decide with an option.")
        if found:
            return found[0]
    return ()


def _is_given(value: object) -> bool:
    """Return whether `value` is not the default of an option; an empty string is a value."""
    return value not in (None, False, [])


def _set(options: Options, setting: Setting, places: Sequence[_Place]) -> None:
    for place in places:
        values = place.values.get(setting.name)
        if values is None:
            continue
        from modelseal.arguments import check_not_empty

        for value in values:
            check_not_empty(place.labels[setting.name], value)
        if isinstance(getattr(options, setting.dest), list):
            setattr(options, setting.dest, values)
        elif len(values) == 1:
            setattr(options, setting.dest, values[0])
        else:
            message = f"{place.labels[setting.name]} has more than one value."
            raise UsageError("bad-config", message, "This option takes one value.")
        return


def _environment(choices: Iterable[Choice]) -> _Place:
    labels, values = {}, {}
    for setting in (one for choice in choices for one in choice.settings() if one.name):
        for variable in filter(None, (setting.variable, setting.alias)):
            value = os.environ.get(variable)
            if value is not None:
                labels[setting.name], values[setting.name] = variable, [value]
                break
    return _Place(labels, values)


def _file(flag: str | None) -> list[_Place]:
    """Return the values of the configuration file, if one is named."""
    path = flag
    if path is None:
        path = os.environ.get(_CONFIG.variable)
        if path is None:
            return []
    from modelseal.arguments import check_not_empty

    check_not_empty(_CONFIG.variable if flag is None else "--config", path)
    document = _parsed(Path(path))
    known = {one.name: one for choice in CHOICES for one in choice.settings() if one.name}
    labels, values = {}, {}
    for name, value in document.items():
        label = f"'{shown(name)}' in '{shown(path)}'"
        if name not in known:
            raise _unknown(name, label, known)
        labels[name] = label
        texts = _number(value, label) if known[name].is_number else _texts(value, label)
        values[name] = [_resolved(known[name], one, Path(path).parent) for one in texts]
    return [_Place(labels, values)]


def _parsed(path: Path) -> dict[str, Any]:
    import tomllib

    from modelseal.files import read_trusted

    try:
        return tomllib.loads(read_trusted(path, _LIMIT, "configuration file").decode())
    except ValueError as error:  # TOML or UTF-8
        message = f"The configuration file '{shown(str(path))}' is not TOML: {shown(str(error))}."
        raise UsageError("bad-config", message, "docs/cli.md has an example.") from error


def _texts(value: object, label: str) -> list[str]:
    values: list[object] = value if isinstance(value, list) else [value]
    texts = [one for one in values if isinstance(one, str)]
    if not values or len(texts) != len(values):
        message = f"{label} is neither a string nor a list of strings."
        raise UsageError("bad-config", message, 'Write it in quotes, such as "alice@example.com".')
    return texts


def _number(value: object, label: str) -> list[str]:
    if type(value) is not int:
        raise UsageError("bad-config", f"{label} is not a number.", "Write it without quotes.")
    return [str(value)]


def is_token(value: str) -> bool:
    """Return whether `value` is an identity token itself (a JWT), not the name of a file."""
    return value.count(".") == _TOKEN_DOTS and "/" not in value


def _resolved(setting: Setting, value: str, folder: Path) -> str:
    """Return `value`, which is from a file in `folder`, as it would be given as an option."""
    is_value = setting.name == "identity_token" and is_token(value)
    is_identity = value.startswith("identity=")  # of who must have signed a policy
    no_path = is_value or is_identity or _URI.match(value) or not value.strip()
    if not setting.is_path or no_path:
        return value
    return str(folder / value)


def _unknown(name: str, label: str, known: Iterable[str]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), 1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known are: {', '.join(known)}."
    return UsageError("bad-config", f"{label} is not a known option.", hint)
