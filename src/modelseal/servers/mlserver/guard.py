# SPDX-License-Identifier: Apache-2.0
"""Keeps the policy and the loaded models in step: reloads the one, judges the others by it."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from mlserver.errors import ModelNotFound

from modelseal.admission import upkeep
from modelseal.admission.decisions import Decision
from modelseal.admission.recheck import recheck
from modelseal.errors import ModelSealError, Undecided, shown
from modelseal.policy.verdict import from_error
from modelseal.servers import settings as signed_settings
from modelseal.servers.mlserver.admissions import SERVER
from modelseal.servers.mlserver.counting import begin, count
from modelseal.servers.mlserver.refusal import described
from modelseal.servers.mlserver.settings import AdmittedSettings
from modelseal.servers.watch import changes

if TYPE_CHECKING:
    from mlserver.model import MLModel
    from mlserver.registry import MultiModelRegistry

    from modelseal.servers.mlserver.admissions import Admitted
    from modelseal.servers.policy_file import Rules
    from modelseal.servers.start import Places

logger = logging.getLogger("mlserver.modelseal")

_EVERY = 2.0  # seconds, at the latest, between two looks at the files of the policy
_AGING = 60.0  # seconds between two looks at a model that can become too old
_MEASURED_EVERY = 30.0  # seconds between two looks at the size of the store


class _Judged(NamedTuple):
    """What the rules say of a loaded model, and when they were asked."""

    admitted: Admitted
    rules: Rules
    at: float
    error: ModelSealError | None


class Guard:
    """Runs in the event loop of the server's main process, which tells the workers what to do."""

    def __init__(self, places: Places) -> None:
        self._policy = places.policy
        self._store = places.store
        self._measured = float("-inf")
        self._registry: MultiModelRegistry | None = None
        self._judged: dict[int, _Judged] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._unloading: dict[int, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def attach(self, registry: MultiModelRegistry) -> None:
        """Watch over the models in `registry` from now on."""
        self._registry = registry
        begin()
        rules = self._policy.rules
        count(lambda to: to.policy_in_force(rules.policy, rules.verifier))
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # whoever has no loop has to call `look`
            return
        self._task = asyncio.create_task(self._watch())

    def lock(self, name: str) -> asyncio.Lock:
        """Return what is held while the model `name` is loaded or unloaded."""
        return self._locks.setdefault(name, asyncio.Lock())

    async def _watch(self) -> None:
        async for _ in changes(self._policy.folders, _EVERY):
            try:
                await self.look()
            except Exception:  # a server goes on
                logger.exception("the policy or the loaded models could not be looked at")

    async def look(self) -> None:
        """Read the policy again if it was changed, and judge the loaded models by it."""
        known = self._policy.error
        changed = await asyncio.to_thread(self._policy.check)
        error, rules = self._policy.error, self._policy.rules
        if changed:
            count(lambda to: to.policy_read(usable=True))
            count(lambda to: to.policy_in_force(rules.policy, rules.verifier))
            digest = self._policy.rules.policy.digest
            logger.info("the policy was changed; in force: %s", digest)
        elif error is not None and error is not known:
            count(lambda to: to.policy_read(usable=False))
            logger.error("the new policy cannot be used, the one before stays: %s", error)
        await self.judge_loaded()
        await self._measure()

    async def _measure(self) -> None:
        """Say in metrics what is loaded, when that expires and, now and then, what is stored."""
        models = await self.loaded()
        unaccepted = len(await self.objections())
        ends = [until for one in models if (until := _admitted(one).snapshot.verdict.until)]
        count(lambda to: to.models_are(len(models), unaccepted))
        count(lambda to: to.expires("signature", min(ends, default=None)))
        if time.monotonic() - self._measured > _MEASURED_EVERY:
            stored = await asyncio.to_thread(upkeep.listed, self._store)
            size = sum(one.size for one in stored)
            count(lambda to: to.store_has(size, len(stored)))
            self._measured = time.monotonic()

    async def judge_loaded(self, name: str | None = None) -> ModelSealError | None:
        """Unload or report the loaded models, or versions of `name`, that are no longer accepted.

        Whoever gives a `name` holds its lock. Returns why the last of them is not accepted.
        """
        refusal: ModelSealError | None = None
        models = await self.loaded()
        for model in models:
            if name is not None and model.name != name:
                continue
            error = await self._objection(model)
            if error is None:
                continue
            refusal = error
            if self._policy.rules.policy.mlserver.on_revoked == "report":
                continue
            model.ready = False  # nobody is answered from now on, however long unloading takes
            if name is not None:
                await self.unload(model, error.code)
            elif id(model) not in self._unloading:
                task = asyncio.create_task(self._unload_later(model, error.code))
                self._unloading[id(model)] = task
        if name is None:
            present = {id(_admitted(model)) for model in models}
            self._judged = {key: one for key, one in self._judged.items() if key in present}
        return refusal

    async def loaded(self) -> list[MLModel]:
        """Return the models that MLServer has, loaded or about to be, and that we admitted."""
        if self._registry is None:
            return []
        models = await self._registry.get_models()
        return [one for one in models if isinstance(one.settings, AdmittedSettings)]

    async def objections(self) -> list[tuple[MLModel, ModelSealError]]:
        """Return the loaded models that the policy no longer accepts, as far as it was asked."""
        found = ((one, self._judged.get(id(_admitted(one)))) for one in await self.loaded())
        return [(one, judged.error) for one, judged in found if judged and judged.error]

    async def find(self, name: str, version: str | None) -> MLModel | None:
        """Return the loaded model of this name and version."""
        return next(
            (one for one in await self.loaded() if (one.name, one.version) == (name, version)), None
        )

    async def unload(self, model: MLModel, code: str) -> None:
        """Unload one version of a model in all workers, and say why; fine if it is gone already."""
        if self._registry is None:
            return
        try:
            await self._registry.unload_version(model.name, model.version)
        except ModelNotFound:
            return
        logger.warning("unloaded: %s", _described(model))
        count(lambda to: to.model_unloaded(code))

    async def _unload_later(self, model: MLModel, code: str) -> None:
        """Unload the model when no load of the same name is under way: MLServer mixes them up."""
        try:
            async with self.lock(model.name):
                if any(one is model for one in await self.loaded()):
                    await self.unload(model, code)
        except Exception:  # a server goes on, and tries again
            logger.exception("could not be unloaded: %s", _described(model))
        finally:
            del self._unloading[id(model)]

    async def _objection(self, model: MLModel) -> ModelSealError | None:
        """Return why the policy does not accept the loaded `model`, None if it does."""
        admitted = _admitted(model)
        rules = self._policy.rules
        known = self._judged.get(id(admitted))
        if known is None:
            known = _Judged(admitted, admitted.rules, time.monotonic(), None)
        rule = rules.policy.rule_for(model.name)
        ages = rule is not None and rule.max_age is not None
        if known.rules is rules and not (ages and time.monotonic() - known.at > _AGING):
            self._judged[id(admitted)] = known
            return known.error
        error = await asyncio.to_thread(_judge, admitted, rules)
        if isinstance(error, Undecided):
            logger.error("cannot tell: %s: %s", _described(model), error)
            return None  # asked again the next time
        if error is not None:
            logger.error(
                "no longer accepted: %s: %s", _described(model), described(model.name, error)
            )
        self._judged[id(admitted)] = _Judged(admitted, rules, time.monotonic(), error)
        return error


def _judge(admitted: Admitted, rules: Rules) -> ModelSealError | None:
    try:
        verdict = recheck(admitted.snapshot, admitted.bundles, rules.policy, rules.verifier)
        verdict.raise_for_refusal()
        signed_settings.read(admitted.snapshot, rules.policy, admitted.folder.version)
    except ModelSealError as error:
        if not isinstance(error, Undecided):
            _record(admitted, rules, error)
        return error
    return None


def _record(admitted: Admitted, rules: Rules, error: ModelSealError) -> None:
    """Write down that the model is no longer accepted, which holds whether that works or not."""
    folder = admitted.folder
    try:
        Decision(rules.policy, folder.path, SERVER).record(from_error(folder.name, error))
    except Undecided as failed:
        logger.error("not in the log of decisions: %s", failed)  # noqa: TRY400 - it is expected


def _admitted(model: MLModel) -> Admitted:
    settings: AdmittedSettings = model.settings
    return settings.admitted


def _described(model: MLModel) -> str:
    version = "" if model.version is None else f" version {shown(model.version)}"
    return f"{shown(model.name)}{version}"
