# SPDX-License-Identifier: Apache-2.0
"""Admits the models of a server, and remembers how that ended, so that listing them is cheap."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from modelseal.admission.admit import admit
from modelseal.admission.decisions import Decision
from modelseal.admission.recheck import kept_bundles
from modelseal.errors import FormatError, ModelSealError, Undecided, UsageError, shown
from modelseal.model import stamp
from modelseal.model.digests import Reading
from modelseal.servers import settings as signed_settings
from modelseal.servers.folders import model_folders
from modelseal.servers.metrics import Decided
from modelseal.servers.mlserver.counting import count
from modelseal.servers.mlserver.refusal import Refused, described, refused
from modelseal.servers.mlserver.settings import check_not_installed, made
from modelseal.servers.tracing import span

if TYPE_CHECKING:
    from pathlib import Path

    from modelseal.admission.admit import Snapshot
    from modelseal.admission.recheck import KeptBundle
    from modelseal.model.hashing import Progress
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Status
    from modelseal.servers.folders import ModelFolder
    from modelseal.servers.mlserver.settings import AdmittedSettings
    from modelseal.servers.policy_file import Rules
    from modelseal.servers.start import Places
    from modelseal.servers.tracing import Note

logger = logging.getLogger("mlserver.modelseal")  # with MLServer's own handlers and format

SERVER = "mlserver"  # its name in the decision log
_LOOKED_AT = 256  # entries of a folder, to tell cheaply whether it was changed


class Admitted(NamedTuple):
    """How a model came to be accepted: what is needed to judge it again while it is loaded."""

    folder: ModelFolder
    snapshot: Snapshot
    bundles: tuple[KeptBundle, ...]
    rules: Rules


@dataclass(frozen=True)
class _Seen:
    """How the admission of a folder ended, by which rules.

    The stamps say what the folder looked like, or why it has none: a quick one over few entries and
    whether the folder was ambiguous, and one over all of it.
    """

    quick: tuple[bytes | str, bool]
    full: bytes | str
    rules: Rules
    outcome: AdmittedSettings | Refused


class Admissions:
    """All methods may block, and may be called by several threads."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._seen: dict[Path, _Seen] = {}
        self._locks: dict[Path, Lock] = {}

    def folders(self) -> list[ModelFolder]:
        """Return the folders that are to be models.

        Raises:
            OSError: the models folder cannot be listed.
        """
        found = model_folders(self._places.models)
        known = {one.path for one in found}
        for gone in [path for path in list(self._seen) if path not in known]:
            self._seen.pop(gone, None)
            self._locks.pop(gone, None)
        return found

    def outcome(self, folder: ModelFolder, *, listing: bool) -> AdmittedSettings | Refused:
        """Return the settings of an accepted model, or why it is refused.

        A listing may reuse what is known of a folder that looks unchanged.
        """
        with self._locks.setdefault(folder.path, Lock()):
            rules = self._places.policy.rules
            quick = (*_stamped(folder.path, _LOOKED_AT)[:1], folder.is_ambiguous)
            seen = self._seen.get(folder.path)
            if seen is not None and listing and seen.rules is rules and seen.quick == quick:
                return seen.outcome
            full, problem = _stamped(folder.path)
            is_known = seen is not None and seen.full == full
            unchanged = is_known and seen is not None and not isinstance(seen.outcome, Refused)
            outcome: AdmittedSettings | Refused
            with span("admit", model=folder.name) as note:
                outcome = self._counted(folder, rules, problem, note, unchanged=unchanged)
            self._seen[folder.path] = _Seen(quick, full, rules, outcome)
            return outcome

    def _counted(
        self,
        folder: ModelFolder,
        rules: Rules,
        problem: ModelSealError | None,
        note: Note,
        *,
        unchanged: bool,
    ) -> AdmittedSettings | Refused:
        """Admit the model, unless there is a `problem` already; say in metrics how that ended."""
        began, hashed = time.monotonic(), 0

        def progress(size: int) -> None:
            nonlocal hashed
            hashed += size

        outcome: AdmittedSettings | Refused
        try:
            if problem is None:
                folder.check()
                outcome = self._admit(folder, rules, progress, unchanged=unchanged)
                verdict, code = "accepted", outcome.admitted.snapshot.verdict.code
            else:
                outcome, (verdict, code) = _said(folder.name, problem), _decided(problem)
        except Exception as error:  # noqa: BLE001 - a server answers, whatever a model does
            outcome, (verdict, code) = _said(folder.name, error), _decided(error)
        note("verdict", verdict)
        note("code", code)
        seconds = time.monotonic() - began
        decided = Decided(folder.name, verdict, code, seconds, hashed)
        count(lambda to: to.decided(decided))
        return outcome

    def _admit(
        self, folder: ModelFolder, rules: Rules, progress: Progress, *, unchanged: bool
    ) -> AdmittedSettings:
        places, policy = self._places, rules.policy
        snapshot = admit(
            folder.path, policy, rules.verifier, places.store,
            name=folder.name, unchanged=unchanged, reading=Reading(progress=progress),
            server=SERVER,
        )  # fmt: skip
        with Decision(policy, folder.path, SERVER).recorded(folder.name):
            settings = self._settings(folder, snapshot, policy)
        settings.admitted = Admitted(folder, snapshot, kept_bundles(folder.path), rules)
        logger.info("accepted: %s: %s", shown(folder.name), snapshot.verdict.message)
        return settings

    def _settings(
        self, folder: ModelFolder, snapshot: Snapshot, policy: Policy
    ) -> AdmittedSettings:
        values = signed_settings.read(snapshot, policy, folder.version)
        source = None
        if signed_settings.brings_code(values, snapshot, policy):
            check_not_installed(values["implementation"], self._places.store)
            source = snapshot.path / signed_settings.FILE_NAME
        try:
            return made(values, source)
        except ValidationError as error:
            what = shown(str(error.errors()[0]["loc"]))
            message = f"The signed model-settings.json has a value that MLServer refuses: {what}."
            raise FormatError("bad-settings", message) from error


def _stamped(path: Path, most: int | None = None) -> tuple[bytes | str, ModelSealError | None]:
    try:
        return stamp.of_folder(path) if most is None else stamp.of_folder(path, most), None
    except ModelSealError as error:
        return str(error), error


def _decided(error: Exception) -> tuple[Status, str]:
    """Return the verdict that `error` means, and its code."""
    if not isinstance(error, ModelSealError):
        return "undecided", "internal"
    undecided = isinstance(error, Undecided | UsageError)
    return "undecided" if undecided else "refused", error.code


def _said(name: str, error: Exception) -> Refused:
    """Return the answer to `error`, having logged it."""
    text = described(name, error)
    if isinstance(error, ModelSealError):
        logger.warning("refused: %s", text)
    else:
        logger.error("refused: %s", text, exc_info=error)
    return refused(name, error)
