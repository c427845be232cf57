# SPDX-License-Identifier: Apache-2.0
"""The runtime wrapper for single files, when the model repository cannot be changed."""

from __future__ import annotations

import asyncio
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlserver.utils import get_model_uri
from pydantic import ImportString, TypeAdapter

from modelseal.admission.admit import admit
from modelseal.errors import ModelSealError, UsageError, shown
from modelseal.servers.mlserver.refusal import refused
from modelseal.servers.policy_file import PolicyFile, read_policy, verifier_of

if TYPE_CHECKING:
    from mlserver.model import MLModel
    from mlserver.settings import ModelSettings

    from modelseal.admission.admit import Snapshot
    from modelseal.policy.rules import Policy

POLICY = "MODELSEAL_POLICY"  # environment variables: a model must not choose its own policy
STORE = "MODELSEAL_STORE"
POLICY_SIGNER = "MODELSEAL_POLICY_SIGNER"  # if the policy must be signed itself
POLICY_TRUSTED_ROOT = "MODELSEAL_POLICY_TRUSTED_ROOT"


class VerifiedModel:
    """Not covered: model-settings.json, every other file of the folder, code beside the model.

    Whoever can write to the model's folder can change `implementation` back, or plant a module that
    shadows this one, and no check here ever runs. It helps only where that folder is read-only for
    everybody but the operator and just the model file comes from elsewhere. Everywhere else use
    `VerifiedModelRepository`.

    Covered: the one file that `parameters.uri` names, with FILE.sigstore.json beside it. It is
    copied while hashing into the store, checked, and only the copy is loaded. model-settings.json:

        "implementation": "modelseal.servers.mlserver.VerifiedModel",
        "parameters": {
            "uri": "./model.joblib", "extra": {"runtime": "mlserver_sklearn.SKLearnModel"}
        }

    The runtime must be one that the policy allows. The operator sets MODELSEAL_POLICY (file) and
    MODELSEAL_STORE (folder) in the environment of the server, and MODELSEAL_POLICY_SIGNER if the
    policy must be signed (docs/policy.md). Each worker verifies for itself.
    """

    def __new__(cls, settings: ModelSettings) -> MLModel:
        """Return a model of the wrapped runtime, not of this class: handlers and codecs stay.

        Raises:
            Refused: no runtime, or one that the policy does not allow.
        """
        try:
            extra = (settings.parameters and settings.parameters.extra) or {}
            name = extra.get("runtime")
            if not isinstance(name, str) or name not in _policy().mlserver.runtimes:
                message = f"The policy does not allow the runtime '{shown(str(name))}'."
                raise UsageError("runtime-not-allowed", message)
        except ModelSealError as error:
            raise refused(settings.name, error) from error
        return _wrapped(TypeAdapter(ImportString[Any]).validate_python(name))(settings)


@lru_cache
def _wrapped(runtime: type[MLModel]) -> type[MLModel]:
    class Verified(runtime):  # type: ignore[misc] # any runtime
        async def load(self) -> bool:
            """Load the verified copy of the file by the runtime's own method."""
            try:
                # the runtime's own search for well-known names would look into the hostile folder
                model = Path(await get_model_uri(self.settings))
                snapshot = await asyncio.to_thread(_snapshot, model)
            except Exception as error:
                raise refused(self.name, error) from error
            settings: ModelSettings = self.settings.model_copy(deep=True)
            settings._source = None  # noqa: SLF001 - else the path is taken as relative to it
            settings.parameters.uri = str(snapshot.path)
            self._snapshot = snapshot  # as long as it is there nobody removes the copy
            self._settings = settings
            loaded: bool = await super().load()
            return loaded

    Verified.__name__ = Verified.__qualname__ = f"Verified{runtime.__name__}"
    return Verified


def _snapshot(model: Path) -> Snapshot:
    if not model.is_file():
        message = f"'{shown(str(model))}' is not a file."
        raise UsageError("not-a-file", message, "Name the model file in parameters.uri.")
    policy = _policy()
    store = Path(_variable(STORE))
    return admit(model, policy, verifier_of(policy), store, server="mlserver")


def _policy() -> Policy:
    signer, root = os.environ.get(POLICY_SIGNER), os.environ.get(POLICY_TRUSTED_ROOT)
    trusted_root = None if root is None else Path(root)
    return read_policy(PolicyFile(Path(_variable(POLICY)), signer, trusted_root))


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        message = f"The environment variable {name} is not set, or is empty."
        raise UsageError("no-policy", message, "The operator of the server sets it.")
    return value
