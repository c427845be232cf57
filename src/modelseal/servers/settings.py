# SPDX-License-Identifier: Apache-2.0
"""Model settings of MLServer, read from a snapshot and held against the operator's policy.

Settings choose the code that runs. So they are read from signed bytes only, never from the folder
that others can write to, and what they may choose is bounded by the policy.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from modelseal.errors import FormatError, PolicyRefused, shown
from modelseal.files import read_untrusted
from modelseal.formats.strict import as_kind, optional, parse_json
from modelseal.model import names
from modelseal.policy.verdict import Check

if TYPE_CHECKING:
    from modelseal.admission.admit import Snapshot
    from modelseal.policy.rules import Policy

FILE_NAME = "model-settings.json"
LIMIT = 1024 * 1024  # bytes
_WHAT = "model-settings.json"
_ENVIRONMENT = ("environment_path", "environment_tarball")


def read(snapshot: Snapshot, policy: Policy) -> dict[str, Any]:
    """Return the signed settings of the model, with `parameters.uri` inside the snapshot.

    Raises:
        FormatError: not settings. PolicyRefused: settings that the policy does not let through.
    """
    if FILE_NAME not in {resource.name for resource in snapshot.manifest.resources}:
        raise FormatError(
            "no-settings",
            f"The signed model has no {FILE_NAME}.",
            "Put it into the folder, then sign again.",
        )
    data = read_untrusted(snapshot.path / FILE_NAME, LIMIT, _WHAT)
    settings = dict(as_kind(parse_json(data, what=_WHAT, limit=LIMIT), dict, what=_WHAT))
    parameters = dict(optional(settings, "parameters", dict, what=_WHAT) or {})
    _check_name(settings, snapshot)
    _check_runtime(settings, snapshot, policy)
    for key in _ENVIRONMENT:
        if parameters.get(key) is not None:
            message = f"The signed settings want another Python environment ('{key}')."
            raise _refused(snapshot, "environment-not-allowed", message, "Remove it, sign again.")
    parameters["uri"] = _inside(optional(parameters, "uri", str, what=_WHAT) or ".", snapshot)
    return {**settings, "parameters": parameters}


def _check_name(settings: dict[str, Any], snapshot: Snapshot) -> None:
    """Bind the signature to the name; without one it would be good under any name."""
    name = optional(settings, "name", str, what=_WHAT)
    if not name:
        message = f"The signed {FILE_NAME} has no 'name', so it would fit any model."
        raise _refused(snapshot, "name-missing", message, "Add the name, then sign again.")
    if name != snapshot.verdict.model:
        message = (
            f"The folder is named '{shown(snapshot.verdict.model)}', "
            f"but what was signed is the model '{shown(name)}'."
        )
        raise _refused(snapshot, "name-mismatch", message, "A model is served under its own name.")


def _check_runtime(settings: dict[str, Any], snapshot: Snapshot, policy: Policy) -> None:
    runtime = optional(settings, "implementation", str, what=_WHAT) or ""
    if runtime not in policy.runtimes:
        message = f"The policy does not allow the runtime '{shown(runtime)}'."
        hint = "Add it to runtimes in [mlserver] of the policy, if its code is yours to run."
        raise _refused(snapshot, "runtime-not-allowed", message, hint)


def _inside(uri: str, snapshot: Snapshot) -> str:
    """Return the absolute path of `uri`, a file or folder of the snapshot."""
    wanted = PurePosixPath(uri)
    files = (PurePosixPath(resource.name) for resource in snapshot.manifest.resources)
    if any(file.is_relative_to(wanted) for file in files):
        path = str(snapshot.path / names.to_disk(str(wanted)))
        # MLServer parses the path as a URL and keeps what that leaves: it must leave all of it
        if urlparse(path, scheme="file").path == path:
            return path
    message = f"The signed settings point to '{shown(uri)}', which is not in the signed model."
    raise _refused(snapshot, "uri-outside", message, "Use a path inside the model's folder.")


def _refused(snapshot: Snapshot, code: str, message: str, hint: str) -> PolicyRefused:
    checks = (*snapshot.verdict.checks, Check("settings", passed=False, detail=message))
    verdict = snapshot.verdict.replace(
        status="refused", code=code, message=message, hint=hint, checks=checks
    )
    return PolicyRefused(verdict)
