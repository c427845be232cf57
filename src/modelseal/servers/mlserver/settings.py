# SPDX-License-Identifier: Apache-2.0
"""MLServer's settings of a model, made from signed values and nothing else.

By itself MLServer fills what is missing from MLSERVER_MODEL_* variables and a `.env` file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlserver.settings import ModelParameters, ModelSettings

from modelseal.errors import UsageError

if TYPE_CHECKING:
    from pydantic_settings import PydanticBaseSettingsSource


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
    """
    plain = {name: value for name, value in values.items() if not name.startswith("_")}
    parameters = _Parameters(**(plain.pop("parameters", None) or {}))
    return _Settings(**plain, parameters=parameters)


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
