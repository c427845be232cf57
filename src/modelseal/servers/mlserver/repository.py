# SPDX-License-Identifier: Apache-2.0
"""The model repository that admits before MLServer believes a word of the model's settings."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from mlserver.model import MLModel
from mlserver.repository import ModelRepository
from pydantic import ValidationError

from modelseal.admission.admit import admit
from modelseal.arguments import check_not_empty
from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.model import names, stamp
from modelseal.model.tree import LOST_AND_FOUND
from modelseal.servers import settings as signed_settings
from modelseal.servers import start
from modelseal.servers.mlserver import index
from modelseal.servers.mlserver.refusal import Refused, described, not_found, refused, unlistable
from modelseal.servers.mlserver.settings import check_environment, made

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlserver.settings import ModelSettings

    from modelseal.admission.leases import Lease

logger = logging.getLogger("mlserver.modelseal")  # with MLServer's own handlers and format

_MAX_NAME = 255  # bytes; NAME_MAX of Linux


@dataclass(frozen=True)
class _Seen:
    """How the admission of a folder ended; `stamp` is the folder's, or why it has none."""

    stamp: bytes | str
    outcome: ModelSettings | Refused


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
        self._seen: dict[str, _Seen] = {}
        # Whoever has a lease keeps the copy from being removed. MLServer may load what it was given
        # at any time, a worker that starts again does, so all of them are kept.
        self._leases: dict[Path, Lease | None] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        index.explain()

    async def list(self) -> Sequence[ModelSettings]:
        """Return the accepted models; while the index is answered, the refused ones too."""
        reasons = index.reasons.get()
        found = []
        listed = await asyncio.to_thread(self._names)
        if not listed and reasons is None:
            logger.warning("no models in '%s' yet", shown(str(self._places.models)))
        for name in listed:
            try:
                found.append(await self._admitted(name, listing=True))
            except Refused as error:
                if reasons is not None:
                    reasons[name] = str(error)
                    found.append(made({"name": name, "implementation": _path_of(RefusedModel)}))
                elif self._strict_startup:
                    _give_up(f"modelseal: {error}")
        return found

    async def find(self, name: str) -> Sequence[ModelSettings]:
        """Return the settings of the model `name`, admitted just now.

        Raises:
            Refused: no such model, or one that is not accepted.
        """
        if not await asyncio.to_thread(self._is_model, name):
            raise not_found(name)
        return [await self._admitted(name, listing=False)]

    def _names(self) -> Sequence[str]:
        try:
            found = sorted(os.listdir(self._places.models))  # noqa: PTH208 - names are wanted
        except OSError as error:
            logger.exception("the models folder cannot be listed")
            raise unlistable() from error
        # As in a manifest. A name that is not UTF-8 is not printable, so it is no model's.
        listed = map(names.text, found)
        return [name for name in listed if self._is_model(name)]

    def _is_model(self, name: str) -> bool:
        """Return whether `name` is a folder in `models`, or a link, which is then refused."""
        plain = name.isprintable() and "/" not in name and not name.startswith(".")
        if not name or not plain or len(name.encode()) > _MAX_NAME or name == LOST_AND_FOUND:
            return False
        try:
            mode = self._path(name).lstat().st_mode
        except OSError:
            return False
        return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)

    async def _admitted(self, name: str, *, listing: bool) -> ModelSettings:
        async with self._locks.setdefault(name, asyncio.Lock()):
            outcome = await asyncio.to_thread(self._outcome, name, listing=listing)
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def _outcome(self, name: str, *, listing: bool) -> ModelSettings | Refused:
        """Admit the model, in a thread; a listing may reuse what is known of the folder."""
        failed: ModelSealError | None = None
        found: bytes | str
        try:
            found = stamp.of_folder(self._path(name))
        except ModelSealError as error:
            found, failed = str(error), error
        seen = self._seen.get(name)
        same = seen is not None and seen.stamp == found
        if seen is not None and same and listing:
            return seen.outcome
        known = seen is not None and same and not isinstance(seen.outcome, Refused)
        outcome = _said(name, failed) if failed else self._tried(name, unchanged=known)
        self._seen[name] = _Seen(found, outcome)
        return outcome

    def _tried(self, name: str, *, unchanged: bool) -> ModelSettings | Refused:
        try:
            return self._admit(name, unchanged=unchanged)
        except Exception as error:  # noqa: BLE001 - a server answers, whatever a model makes happen
            return _said(name, error)

    def _path(self, name: str) -> Path:
        return self._places.models / names.to_disk(name)

    def _admit(self, name: str, *, unchanged: bool) -> ModelSettings:
        places = self._places
        model = self._path(name)
        snapshot = admit(model, places.policy, places.verifier, places.store, unchanged=unchanged)
        signed = signed_settings.read(snapshot, places.policy)
        self._leases[snapshot.path] = snapshot.lease
        try:
            settings = made(signed)
        except ValidationError as error:
            what = shown(str(error.errors()[0]["loc"]))
            message = f"The signed model-settings.json has a value that MLServer refuses: {what}."
            raise FormatError("bad-settings", message) from error
        logger.info("accepted: %s: %s", shown(name), snapshot.verdict.message)
        return settings


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


def _said(name: str, error: Exception) -> Refused:
    """Return the answer to `error`, having logged it."""
    text = described(name, error)
    if isinstance(error, ModelSealError):
        logger.warning("refused: %s", text)
    else:
        logger.error("refused: %s", text, exc_info=error)
    return refused(name, error)


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
