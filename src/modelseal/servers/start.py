# SPDX-License-Identifier: Apache-2.0
"""What must hold before a server starts, because no check inside it could help later.

Python imports from every folder on its path, MLServer puts the working directory and the start
folder there and reads `.env`; a server started from where the models lie runs planted code before
anything of ours does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission import decisions, upkeep
from modelseal.admission import store as place
from modelseal.errors import UsageError, shown
from modelseal.servers.policy_file import PolicyFile, ReloadingPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.policy.rules import Policy

_HINT = "Keep settings, policy and store in folders of their own and start the server from there."


@dataclass(frozen=True)
class Places:
    """Checked at start: where hostile models lie, where copies go, what decides."""

    models: Path
    store: Path
    policy: ReloadingPolicy


def checked(
    models: Path,
    policy: Path,
    store: Path,
    *,
    start: Path,
    import_path: Iterable[str],
    policy_signer: str | None = None,
    policy_trusted_root: str | None = None,
) -> Places:
    """Return the places of a server whose settings are in the folder `start`.

    Relative paths are relative to `start`. With `policy_signer` the policy must be signed, see
    `admission.signed_policy`; a signature by an identity is verified with `policy_trusted_root`.

    Raises:
        UsageError: a folder is where whoever writes models could take over the server.
        FormatError, Undecided: the policy or the trusted root cannot be read, or the models folder.
    """
    start = _real(start)
    given = start / models  # may be a link that is turned to a new release while the server runs
    models = _real(given)
    if not models.is_dir():
        message = f"The models folder '{shown(str(models))}' does not exist."
        raise UsageError("no-models-folder", message, "Check 'models' in settings.json.")
    _check_imports(models, start, import_path)
    root = None if policy_trusted_root is None else Path(policy_trusted_root)

    def suits(policy: Policy) -> None:
        if not (policy.mlserver.runtimes or policy.mlserver.model_code):
            message = "The policy allows no runtime, so no model could be loaded."
            raise UsageError("no-runtimes", message, "Name them in runtimes of [mlserver].")
        if policy.trust_root is not None:
            _check_apart("trusted root", _real(policy.trust_root), models)

    source = PolicyFile.below(start, policy, policy_signer, root)
    reloading = ReloadingPolicy(source, suits)
    private = place.prepare(start / store)
    upkeep.keep_within(private, reloading.rules.policy.store)
    decisions.check(reloading.rules.policy)
    _check_apart("policy", _real(source.path), models)
    _check_apart("store", private, models)
    return Places(given, private, reloading)


def _check_imports(models: Path, start: Path, import_path: Iterable[str]) -> None:
    _check_apart("start folder", start, models)
    working = _real(Path())
    if working.is_relative_to(models):
        raise _too_near("working directory", working, models)
    for entry in {working, *(_real(Path(entry)) for entry in import_path)}:
        if entry.is_relative_to(models):
            raise _too_near("import path", entry, models)
        # `import NAME` would find the models folder, in front of an installed package of that name
        if models.parent == entry and models.name.isidentifier():
            raise _too_near("working directory or import path", entry, models)


def _check_apart(what: str, path: Path, models: Path) -> None:
    if path.is_relative_to(models) or models.is_relative_to(path):
        raise _too_near(what, path, models)


def _too_near(what: str, path: Path, models: Path) -> UsageError:
    message = (
        f"The {what} '{shown(str(path))}' and the models folder '{shown(str(models))}' are one "
        "within the other, so whoever writes models could take over the server."
    )
    return UsageError("models-too-near", message, _HINT)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
