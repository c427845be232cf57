# SPDX-License-Identifier: Apache-2.0
"""The policy of a server: read at start, and again whenever one of its files was changed.

A new policy that cannot be read changes nothing: the one before stays in force.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.admission import signed_policy
from modelseal.admission.request import verifier_for
from modelseal.errors import ModelSealError, UsageError, shown
from modelseal.files import is_stream, not_regular, of_os_error, read_again, read_trusted
from modelseal.model.bundles import beside_file
from modelseal.policy import document
from modelseal.policy.signers import AcceptedIdentity
from modelseal.trust.choice import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.policy.document import ReadFile
    from modelseal.policy.rules import Policy
    from modelseal.verification.verifier import Verifier

    Looks = dict[Path, tuple[int, ...]]  # what the file system says of each file

_IDENTITY = "identity="


class PolicyFile(NamedTuple):
    """The file `path` of a policy; with a `signer`, see `signed_policy.load`, it must be signed.

    A signature by an identity is verified with the `trusted_root`.
    """

    path: Path
    signer: str | None = None
    trusted_root: Path | None = None

    @classmethod
    def below(
        cls, folder: Path, path: Path, signer: str | None, trusted_root: Path | None
    ) -> PolicyFile:
        """Return the same with paths that are relative to `folder`."""
        if signer is not None and not signer.startswith(_IDENTITY):
            signer = str(folder / signer)
        return cls(folder / path, signer, None if trusted_root is None else folder / trusted_root)


class Rules(NamedTuple):
    """A policy in force, and what verifies signatures for it."""

    policy: Policy
    verifier: Verifier


class ReloadingPolicy:
    """The policy in force; `check` reads it again when one of its files was changed."""

    def __init__(self, source: PolicyFile, suits: Callable[[Policy], None]) -> None:
        """Read it for the first time; `suits` raises if a policy does not suit the server.

        Raises:
            Unverified: it must be signed and is not.
            UsageError, FormatError, Undecided: it does not suit, or cannot be read.
        """
        self.source = source
        self._suits = suits
        self.error: ModelSealError | None = None  # why the newest policy is not in force
        self._is_stream = is_stream(source.path)
        self._looks: Looks = {}
        self.rules = self._read(read_trusted)

    def folders(self) -> set[Path]:
        """Return the folders in which a change of the policy shows.

        Kubernetes mounts files as links by way of a link `..data`, which is replaced: what changes
        then is in the folder that was named, not in the one that the file is in.
        """
        files = {one for path in self._looks for one in (path, Path(os.path.realpath(path)))}
        return {path.parent for path in files}

    def check(self) -> bool:
        """Return whether another policy is in force now.

        Otherwise nothing was changed, or `error` says why the new policy cannot be used.
        """
        looks = {path: _look(path) for path in self._looks}
        if self._is_stream or looks == self._looks:
            return False
        self._looks, self.error = looks, None
        try:
            self.rules = self._read(read_again)
        except ModelSealError as error:
            self.error = error
        except OSError as error:
            self.error = of_os_error(error)
        return self.error is None

    def _read(self, read: ReadFile) -> Rules:
        looks: Looks = {}

        def note(path: Path) -> None:
            looks.setdefault(path, _look(path))  # first: what changes from now on is noticed

        def noted(path: Path, limit: int, what: str) -> bytes:
            if what != "policy":  # that of a signed policy is a copy
                note(path)
            return read(path, limit, what)

        try:
            own = _own_files(self.source)
            for path in own:
                note(path)
            if read is read_again:
                _check_regular(*own)
            policy = read_policy(self.source, noted)
            self._suits(policy)
            if policy.trust_root is not None:
                note(policy.trust_root)
                if read is read_again:
                    _check_regular(policy.trust_root)
            rules = Rules(policy, verifier_of(policy))
        finally:
            # After a mistake also those that were known before, one of which may be corrected.
            self._looks = {**self._looks, **looks}
        self._looks = looks
        return rules


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


def read_policy(source: PolicyFile, read: ReadFile = read_trusted) -> Policy:
    """Return the policy, which with a signer must be signed; an identity needs a trusted root.

    Raises:
        Unverified: it must be signed and is not. UsageError, FormatError, Undecided: unreadable.
    """
    if source.signer is None:
        return document.load(source.path, read)
    if source.signer.startswith(_IDENTITY) and source.trusted_root is None:
        message = "An identity must have signed the policy, and no trusted root says who that is."
        raise UsageError("no-trust-root", message, "Name it in policy_trusted_root.")
    trust = Trust(trusted_root=source.trusted_root)
    return signed_policy.load(source.path, source.signer, trust, read)


def _own_files(source: PolicyFile) -> tuple[Path, ...]:
    """Return the files that say what the policy is, before a word of it is believed."""
    if source.signer is None:
        return (source.path,)
    key = () if source.signer.startswith(_IDENTITY) else (Path(source.signer),)
    root = () if source.trusted_root is None else (source.trusted_root,)
    bundles = beside_file(Path(os.path.realpath(source.path)))
    return (source.path, *key, *root, *bundles)


def _check_regular(*paths: Path) -> None:
    for path in paths:
        if is_stream(path):
            raise not_regular(shown(str(path)))


def _look(path: Path) -> tuple[int, ...]:
    """Return what tells whether a file was changed or replaced; nothing if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
