# SPDX-License-Identifier: Apache-2.0
"""The model repository that admits before MLServer believes a word of the model's settings."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlserver.model import MLModel
from mlserver.repository import ModelRepository

from modelseal.arguments import check_not_empty
from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.servers import start
from modelseal.servers.mlserver import hooks
from modelseal.servers.mlserver.admissions import Admissions, logger
from modelseal.servers.mlserver.guard import Guard
from modelseal.servers.mlserver.refusal import Refused, not_found, refused, unlistable
from modelseal.servers.mlserver.settings import check_environment, made

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mlserver.registry import MultiModelRegistry
    from mlserver.settings import ModelSettings

    from modelseal.policy.rules import MLServerRules
    from modelseal.servers.folders import ModelFolder

# Before MLServer starts its workers: a model's own code must not be compiled into its copy.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
sys.dont_write_bytecode = True


class RefusedModel(MLModel):  # type: ignore[misc] # mlserver has no types
    """Stands for a refused model in the index; nothing ever loads it."""

    async def load(self) -> bool:
        """Raise, should anybody try."""
        raise refused(self.name, FormatError("refused", "The model was refused."))


class VerifiedModelRepository(ModelRepository):  # type: ignore[misc] # as above
    """Models of the folder `models` that `policy` accepts, served from copies in `store`.

    In the operator's settings.json:

        "model_repository_implementation": "modelseal.servers.mlserver.VerifiedModelRepository",
        "model_repository_implementation_args": {
            "models": "/srv/models", "policy": "/etc/mlserver/policy.toml", "store": "/var/cache/ms"
        }

    One folder below `models` is one model, signed as a whole with `modelseal sign FOLDER`. Relative
    paths are relative to the folder of settings.json. A refused model never stops the others; with
    `strict_startup` it stops the server from starting. When a reload is refused MLServer goes on
    serving the copy that was accepted before. Keep `models` away from the folder and the working
    directory that the server starts from: Python imports from there. With `policy_signer`, a file
    with a public key or "identity=ID,issuer=URL", the policy must be signed itself; an identity
    needs the trusted root `policy_trusted_root`.
    """

    def __init__(
        self,
        root: str,
        models: str,
        policy: str,
        store: str,
        *,
        policy_signer: str | None = None,
        policy_trusted_root: str | None = None,
        strict_startup: bool = False,
    ) -> None:
        """Check everything that must hold before the first model.

        Raises:
            SystemExit: it does not hold, with one sentence for the terminal.
        """
        try:
            check_environment()
            for name, value in (("models", models), ("policy", policy), ("store", store)):
                check_not_empty(f"'{name}' in settings.json", value)
            self._places = start.checked(
                Path(models), Path(policy), Path(store), start=Path(root), import_path=sys.path,
                policy_signer=policy_signer, policy_trusted_root=policy_trusted_root,
            )  # fmt: skip
        except ModelSealError as error:
            _give_up(f"modelseal: {error} {error.hint}")
        self._strict_startup = strict_startup
        self._admissions = Admissions(self._places)
        self._guard = Guard(self._places)
        hooks.install()

    def attach(self, registry: MultiModelRegistry) -> None:
        """Watch over the models that MLServer loads into `registry` (`hooks`)."""
        self._guard.attach(registry)

    @asynccontextmanager
    async def loading(self, name: str) -> AsyncIterator[None]:
        """Surround a load of the model `name` by MLServer (`hooks`).

        Raises:
            Refused: it was revoked while it was loaded, and is not served.
        """
        async with self._guard.lock(name):
            yield
            error = await self._guard.judge_loaded(name)
        if error is not None and self._rules.on_revoked == "unload":
            raise refused(name, error)

    async def list(self) -> Sequence[ModelSettings]:
        """Return the accepted models; while the index is answered, the refused ones too."""
        reasons = hooks.reasons.get()
        found = []
        folders = await asyncio.to_thread(self._folders)
        if not folders and reasons is None:
            logger.warning("no models in '%s' yet", shown(str(self._places.models)))
        for folder in folders:
            outcome = await self._outcome(folder, listing=True)
            if not isinstance(outcome, Refused):
                found.append(outcome)
            elif reasons is not None:
                reasons[folder.name, folder.version] = str(outcome)
                found.append(_stand_in(folder))
            elif self._strict_startup:
                _give_up(f"modelseal: {outcome}")
        if reasons is not None:
            reasons.update(await self._reported())
        return found

    async def find(self, name: str) -> Sequence[ModelSettings]:
        """Return the settings of the model `name`, or its versions, admitted just now.

        A version that is refused does not stop the others.

        Raises:
            Refused: no such model, or nothing of it is accepted.
        """
        folders = [one for one in await asyncio.to_thread(self._folders) if one.name == name]
        if not folders:
            raise not_found(name)
        outcomes = [(one, await self._outcome(one, listing=False)) for one in folders]
        accepted = [outcome for _, outcome in outcomes if not isinstance(outcome, Refused)]
        refusals = [(one, outcome) for one, outcome in outcomes if isinstance(outcome, Refused)]
        kept = [await self._refused_reload(one, refusal) for one, refusal in refusals]
        if not accepted:
            raise refusals[0][1]
        return [*accepted, *(one for one in kept if one is not None)]

    async def _refused_reload(self, folder: ModelFolder, refusal: Refused) -> ModelSettings | None:
        """Return the settings of the loaded copy, if there is one to be kept; else unload it."""
        model = await self._guard.find(folder.name, folder.version)
        if model is None:
            return None
        if self._rules.on_refused_reload == "unload":
            await self._guard.unload(model, refusal.code)
            return None
        return model.settings

    async def _reported(self) -> dict[tuple[str, str | None], str]:
        """Return why loaded models that the policy only reports are no longer accepted."""
        return {
            (model.name, model.version): str(refused(model.name, error))
            for model, error in await self._guard.objections()
        }

    async def _outcome(self, folder: ModelFolder, *, listing: bool) -> ModelSettings | Refused:
        return await asyncio.to_thread(self._admissions.outcome, folder, listing=listing)

    def _folders(self) -> Sequence[ModelFolder]:
        try:
            return self._admissions.folders()
        except OSError as error:
            logger.exception("the models folder cannot be listed")
            raise unlistable() from error

    @property
    def _rules(self) -> MLServerRules:
        return self._places.policy.rules.policy.mlserver


def _stand_in(folder: ModelFolder) -> ModelSettings:
    """Return what stands for a refused model in the index."""
    return made(
        {
            "name": folder.name,
            "implementation": _path_of(RefusedModel),
            "parameters": {"version": folder.version},
        }
    )


def _give_up(message: str) -> NoReturn:
    """End the process; by now MLServer may have workers and threads that it would wait for."""
    workers = multiprocessing.active_children()
    if not workers:
        raise SystemExit(message)
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
    for worker in workers:
        worker.kill()
    os._exit(1)


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
