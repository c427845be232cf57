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


def read(snapshot: Snapshot, policy: Policy, version: str | None = None) -> dict[str, Any]:
    """Return the signed settings of the model, with `parameters.uri` inside the snapshot.

    With a `version`, that of the model's folder, they must be the settings of this version.

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
    _check_version(parameters, snapshot, version)
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
            f"The folder is that of the model '{shown(snapshot.verdict.model)}', "
            f"but what was signed is the model '{shown(name)}'."
        )
        raise _refused(snapshot, "name-mismatch", message, "A model is served under its own name.")


def _check_version(parameters: dict[str, Any], snapshot: Snapshot, version: str | None) -> None:
    """Bind the signature to the version, else an old one could be put in the newest one's place."""
    if version is None:
        return
    signed = optional(parameters, "version", str, what=_WHAT)
    if signed != version:
        what = f"has the version '{shown(signed)}'" if signed else "has no version"
        message = f"The folder is that of version '{shown(version)}', what was signed {what}."
        hint = "Put parameters.version into the settings, as the folder is named, then sign again."
        raise _refused(snapshot, "version-mismatch", message, hint)


def brings_code(settings: dict[str, Any], snapshot: Snapshot, policy: Policy) -> bool:
    """Return whether the runtime is the model's own: a module in its signed folder."""
    runtime = optional(settings, "implementation", str, what=_WHAT) or ""
    return runtime not in policy.mlserver.runtimes and _is_own_code(runtime, snapshot, policy)


def _is_own_code(runtime: str, snapshot: Snapshot, policy: Policy) -> bool:
    module, dot, _ = runtime.partition(".")
    if not dot or not module.isidentifier():
        return False
    if not policy.mlserver.allows_code_of(snapshot.verdict.model):
        return False
    signed = {resource.name for resource in snapshot.manifest.resources}
    return bool(signed & {f"{module}.py", f"{module}/__init__.py"})


def _check_runtime(settings: dict[str, Any], snapshot: Snapshot, policy: Policy) -> None:
    runtime = optional(settings, "implementation", str, what=_WHAT) or ""
    allowed = runtime in policy.mlserver.runtimes or _is_own_code(runtime, snapshot, policy)
    if not allowed:
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
