# SPDX-License-Identifier: Apache-2.0
"""MLServer's settings of a model, made from signed values and nothing else.

By itself MLServer fills what is missing from MLSERVER_MODEL_* variables and a `.env` file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlserver.settings import ModelParameters, ModelSettings

from modelseal.errors import FormatError, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from pydantic_settings import PydanticBaseSettingsSource

_KNOWN = frozenset({"implementation", *ModelSettings.model_fields})


class _SignedOnly:
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type,  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        **_others: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the one source that counts: what the caller says."""
        return (init_settings,)


class _Parameters(_SignedOnly, ModelParameters):  # type: ignore[misc] # mlserver has no types
    pass


class _Settings(_SignedOnly, ModelSettings):  # type: ignore[misc] # as above
    pass


def made(values: dict[str, Any]) -> ModelSettings:
    """Return the settings with these values.

    Their source stays unset: with one, MLServer puts the model's folder first on the import path.

    Raises:
        pydantic.ValidationError: a value of the wrong type.
        FormatError: a name that differs from one of MLServer's by its case alone.
    """
    # MLServer ignores what it does not know; `self` and `_cli_parse_args` must not even reach it
    plain = {name: value for name, value in values.items() if name in _KNOWN}
    parameters = plain.pop("parameters", None) or {}
    _check_case(values, _KNOWN)
    _check_case(parameters, ModelParameters.model_fields)
    # Parameters may have any name, but these are orders to pydantic-settings: to read the command
    # line, which ends the process over a word that it does not know, or a file.
    allowed = {name: value for name, value in parameters.items() if not name.startswith("_")}
    return _Settings(**plain, parameters=_Parameters(**allowed))


def _check_case(names: Iterable[str], known: Container[str]) -> None:
    """Refuse `URI` for `uri`: pydantic-settings takes either, so it would pass by every check."""
    for name in names:
        if name not in known and name.lower() in known:
            message = f"The signed model-settings.json has '{shown(name)}' for '{name.lower()}'."
            raise FormatError("bad-settings", message)


def check_environment() -> None:
    """Check that MLServer's workers, which read the settings again, will add nothing to them.

    They get every field spelled out, which leaves the two that are merged rather than replaced.

    Raises:
        UsageError: a variable would add to the parameters of every model.
    """
    probe = ModelSettings(implementation="a.b", parameters={"extra": {}}).parameters
    if probe.extra or probe.model_extra:
        raise UsageError(
            "unsigned-settings",
            "MLSERVER_MODEL_PARAMETERS or MLSERVER_MODEL_EXTRA would add to signed settings.",
            "Unset them, also in .env.",
        )
