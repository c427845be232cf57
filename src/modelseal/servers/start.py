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

from modelseal.admission import signed_policy, upkeep
from modelseal.admission import store as place
from modelseal.admission.request import verifier_for
from modelseal.errors import ModelSealError, UsageError, shown
from modelseal.files import exists, translated
from modelseal.model import bundles
from modelseal.policy import document
from modelseal.policy.signers import AcceptedIdentity
from modelseal.servers.settings import FILE_NAME
from modelseal.trust.choice import Trust

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from modelseal.policy.rules import Policy
    from modelseal.verification.verifier import Verifier

_HINT = "Keep settings, policy and store in folders of their own and start the server from there."


@dataclass(frozen=True)
class Places:
    """Checked at start: where hostile models lie, where copies go, what to believe."""

    models: Path
    store: Path
    policy: Policy
    verifier: Verifier


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
        UsageError: a folder is where whoever writes models could take over the server, or the
            models folder is a model itself.
        FormatError, Undecided: the policy or the trusted root cannot be read, or the models folder.
    """
    start = _real(start)
    given = start / models  # may be a link that is turned to a new release while the server runs
    models = _real(given)
    if not models.is_dir():
        message = f"The models folder '{shown(str(models))}' does not exist."
        raise UsageError("no-models-folder", message, "Check 'models' in settings.json.")
    _check_imports(models, start, import_path)
    _check_is_no_model(models)
    rules = read_policy(start, policy, policy_signer, policy_trusted_root)
    private = place.prepare(start / store)
    upkeep.keep_within(private, rules.store)
    own = {"policy": _real(start / policy), "store": private}
    if rules.trust_root is not None:
        own["trusted root"] = _real(rules.trust_root)
    for what, path in own.items():
        if path.is_relative_to(models) or models.is_relative_to(path):
            raise _too_near(what, path, models)
    return Places(given, private, rules, verifier_of(rules))


def read_policy(folder: Path, policy: Path, signer: str | None, trusted_root: str | None) -> Policy:
    """Return the policy of a server, whose paths are relative to `folder`.

    With a `signer` it must be signed, see `signed_policy.load`; an identity needs a trusted root.

    Raises:
        Unverified: it must be signed and is not. UsageError, FormatError, Undecided: unreadable.
    """
    if signer is None:
        return document.load(folder / policy)
    is_identity = signer.startswith("identity=")
    if is_identity and trusted_root is None:
        message = "An identity must have signed the policy, and no trusted root says who that is."
        raise UsageError("no-trust-root", message, "Name it in policy_trusted_root.")
    root = None if trusted_root is None else folder / trusted_root
    named = signer if is_identity else str(folder / signer)
    return signed_policy.load(folder / policy, named, Trust(trusted_root=root))


def verifier_of(policy: Policy) -> Verifier:
    """Return the verifier for a server, which believes nothing that its policy does not name.

    Raises:
        UsageError: identities are accepted, but no trusted root says who they are.
        FormatError, Undecided: the trusted root cannot be read.
    """
    if policy.trust_root is None and any(
        isinstance(signer, AcceptedIdentity) for signer in policy.signers
    ):
        message = "The policy names no trusted root, so nothing could be verified."
        raise UsageError("no-trust-root", message, 'Add [trust] with root = "trusted_root.json".')
    return verifier_for(policy, Trust())


def _check_imports(models: Path, start: Path, import_path: Iterable[str]) -> None:
    if start.is_relative_to(models) or models.is_relative_to(start):
        raise _too_near("start folder", start, models)
    working = _real(Path())
    if working.is_relative_to(models):
        raise _too_near("working directory", working, models)
    for entry in {working, *(_real(Path(entry)) for entry in import_path)}:
        if entry.is_relative_to(models):
            raise _too_near("import path", entry, models)
        # `import NAME` would find the models folder, in front of an installed package of that name
        if models.parent == entry and models.name.isidentifier():
            raise _too_near("working directory or import path", entry, models)


def _check_is_no_model(models: Path) -> None:
    """Check that the models folder is not a model, of which nothing would ever be served.

    Whoever writes models could make it look like one. With another model in it the server starts,
    so nobody who could not take away all models can keep it from starting.
    """
    own = _signs_of_a_model(models)
    if not own or any(map(_signs_of_a_model, _folders_in(models))):
        return
    raise UsageError(
        "models-is-a-model",
        f"The models folder '{shown(str(models))}' is a model itself: it has '{shown(own[0])}', "
        "and no folder in it is a model.",
        "Name the folder that the model's folder is in: each model is a folder of its own name.",
    )


def _folders_in(folder: Path) -> Iterator[Path]:
    with translated(str(folder)), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield folder / entry.name


def _signs_of_a_model(folder: Path) -> tuple[str, ...]:
    """Return which files in the folder only a model has."""
    try:
        found = bundles.in_folder(folder).names
        return (*found, FILE_NAME) if exists(folder / FILE_NAME) else found
    except ModelSealError:
        return ()


def _too_near(what: str, path: Path, models: Path) -> UsageError:
    message = (
        f"The {what} '{shown(str(path))}' and the models folder '{shown(str(models))}' are one "
        "within the other, so whoever writes models could take over the server."
    )
    return UsageError("models-too-near", message, _HINT)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
