# SPDX-License-Identifier: Apache-2.0
"""MLServer's settings of a model, made from signed values and nothing else.

By itself MLServer fills what is missing from MLSERVER_MODEL_* variables and a `.env` file.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlserver.settings import ModelParameters, ModelSettings

from modelseal.errors import FormatError, UsageError, shown

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from pydantic_settings import PydanticBaseSettingsSource

    from modelseal.servers.mlserver.admissions import Admitted

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


class AdmittedSettings(_SignedOnly, ModelSettings):  # type: ignore[misc] # as above
    """Settings that were made here; `admitted` says how the model came to be accepted."""

    _admitted: Any = None  # the name of pydantic for what is no part of the settings

    @property
    def admitted(self) -> Admitted:
        """Return how the model was admitted; of a stand-in for a refused one there is none."""
        found: Admitted = self._admitted
        return found

    @admitted.setter
    def admitted(self, value: Admitted) -> None:
        self._admitted = value


def made(values: dict[str, Any], source: Path | None = None) -> AdmittedSettings:
    """Return the settings with these values.

    With a `source`, the file of the settings, MLServer puts the folder of that first on the import
    path while it imports the runtime: for a model that may bring its own, and for no other.

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
    settings = AdmittedSettings(**plain, parameters=_Parameters(**allowed))
    settings._source = None if source is None else str(source)  # noqa: SLF001 - MLServer's way
    return settings


def check_not_installed(runtime: str, store: Path) -> None:
    """Check that a runtime that a model brings does not hide a module of the server.

    Raises:
        FormatError: its module has the name of one that can be imported already.
    """
    module = runtime.partition(".")[0]
    loaded = sys.modules.get(module)
    spec = find_spec(module) if loaded is None else getattr(loaded, "__spec__", None)
    if loaded is None and spec is None:
        return
    if spec is not None and spec.origin and Path(spec.origin).is_relative_to(store):
        return  # that of an earlier copy
    message = f"The model's module '{shown(module)}' has the name of one that the server has."
    raise FormatError("module-not-allowed", message, "Rename the module, then sign again.")


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
