# SPDX-License-Identifier: Apache-2.0
"""An operator's rules as values: which signers are accepted for which models.

Command-line flags, Python arguments and the policy document all become these values.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from modelseal.errors import UsageError, shown
from modelseal.policy.signers import AcceptedIdentity, AcceptedKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from pathlib import Path
    from typing import Self

    from modelseal.policy.signers import AcceptedSigner
    from modelseal.verification.authentic import Authentic
    from modelseal.verification.believed import Checks

Mode = Literal["enforce", "warn"]
Symlinks = Literal["signed", "deny", "allow"]
Rollback = Literal["allow", "deny"]
OnRevoked = Literal["unload", "report"]
OnRefusedReload = Literal["keep", "unload"]

MODES: tuple[Mode, ...] = ("enforce", "warn")
SYMLINKS: tuple[Symlinks, ...] = ("signed", "deny", "allow")
ROLLBACK: tuple[Rollback, ...] = ("allow", "deny")
ON_REVOKED: tuple[OnRevoked, ...] = ("unload", "report")
ON_REFUSED_RELOAD: tuple[OnRefusedReload, ...] = ("keep", "unload")

EXPECTED = "expected"  # what `Policy.for_signer` calls its one signer


class Rule(NamedTuple):
    """What must hold for the models whose name matches one of the globs in `models`.

    At least `threshold` of the accepted signers named in `signers` must have signed the same files.

    - `allow_ignored`: globs over what the signers may have left out of the signature.
    - `ignore_unsigned`: patterns of files that may be there unsigned (`model.scope`).
    - `symlinks`: "signed", as the signers recorded it; "deny" and "allow" overrule that.
    - `formats`: what the contents of each file may be; if empty, anything.
    - `max_age`: how long ago the signature may have been made.
    - `not_before`, `not_after`: when it must have been made, inclusive. All three compare a time
      that a log or a timestamp authority vouches for.
    - `digests`: the accepted versions, as `version_digests` names them; if empty, any.
    - `rollback`: "deny" never accepts a version signed before the newest that was accepted.
    - `mode`: "warn" accepts what the rule refuses, and says so.
    """

    models: tuple[str, ...]
    signers: tuple[str, ...]
    threshold: int = 1
    allow_ignored: tuple[str, ...] = ()
    ignore_unsigned: tuple[str, ...] = ()
    symlinks: Symlinks = "signed"
    formats: tuple[str, ...] = ()
    max_age: timedelta | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    digests: tuple[str, ...] = ()
    rollback: Rollback = "allow"
    mode: Mode = "enforce"

    def check(self) -> None:
        """Check that a model can fulfil this rule.

        Raises:
            UsageError: a threshold that nobody can reach, or a time that makes no sense.
        """
        count = len(set(self.signers))
        if not 1 <= self.threshold <= count:
            message = f"A threshold of {self.threshold} makes no sense with {count} signers."
            raise UsageError("bad-threshold", message, "It is 1 to as many as are given.")
        _check_times(self.not_before, self.not_after)
        age = self.max_age
        if age is not None and (age.microseconds or age.total_seconds() <= 0):
            message = "The max_age of a rule must be a number of seconds, at least one."
            raise UsageError("bad-policy", message, "Leave it out, or give more.")

    @property
    def needs_time(self) -> bool:
        """Return whether only signatures with a trusted time can fulfil this rule."""
        limits = (self.max_age, self.not_before, self.not_after)
        return self.rollback == "deny" or any(limit is not None for limit in limits)

    def covers(self, model: str) -> bool:
        """Return whether this rule is about `model`; case matters on every system."""
        return any(fnmatchcase(model, pattern) for pattern in self.models)

    def allows_ignored(self, path: str) -> bool:
        """Return whether the signer may have left out `path`."""
        return any(fnmatchcase(path, pattern) for pattern in self.allow_ignored)


class StoreRules(NamedTuple):
    """What a server may keep in its store, and how far it believes what is there.

    - `keep_days`: what nobody asked for in so many days goes, if no process uses it.
    - `max_size`: bytes that all snapshots together may take; the least recently used go first.
    - `verify`: hash a stored snapshot again before it is used.
    """

    keep_days: int | None = None
    max_size: int | None = None
    verify: bool = False


class LogRules(NamedTuple):
    """Where every decision of a server is written down, and for how many days it is kept."""

    path: Path
    keep_days: int = 184  # six months, as the EU AI Act wants of deployers (article 26(6))


class Revocation(NamedTuple):
    """Signatures that no longer count, or versions that are no longer accepted, and why.

    A signature is revoked if all that is given here is true of it. `digest` is that of a version,
    or of one file in it; `signer` names an accepted signer, `identity` is the exact subject of one
    signature; `key` is a fingerprint, "sha256:HEX". `not_before` and `not_after` are about the
    trusted times of the signature, inclusive; a signature without any may be from then.
    """

    reason: str
    digest: str | None = None
    signer: str | None = None
    identity: str | None = None
    key: str | None = None
    log_index: int | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None

    def check(self) -> None:
        """Check that this revokes something in particular.

        Raises:
            UsageError: nothing is given ("bad-revocation"), or a time has no time zone.
        """
        given = (
            self.digest, self.signer, self.identity, self.key, self.log_index, self.not_before,
            self.not_after,
        )  # fmt: skip
        if all(one is None for one in given):
            message = "A revocation must say what is revoked."
            raise UsageError("bad-revocation", message, "Give a digest, a signer, a key or a time.")
        _check_times(self.not_before, self.not_after)

    def revokes(self, signature: Authentic, accepted: Sequence[AcceptedSigner]) -> bool:
        """Return whether `signature` no longer counts; `accepted` are the signers of the policy."""
        who = signature.signer
        named = (one for one in accepted if one.name == self.signer)
        logged = signature.logged.log_index if signature.logged else None
        return (
            (self.digest is None or self.digest in digests_of(signature))
            and (self.signer is None or any(one.accepts(who) for one in named))
            and (self.identity is None or who.subject == self.identity)
            and (self.key is None or (who.kind == "key" and who.subject == self.key))
            and (self.log_index is None or logged == self.log_index)
            and self._was_within(signature)
        )

    def _was_within(self, signature: Authentic) -> bool:
        """Return whether the signature may have been made in the window."""
        if not signature.times:
            return True
        # An earlier signature can be shown to somebody later, never the other way round.
        before = self.not_after is not None and signature.times[0] > self.not_after
        after = self.not_before is not None and signature.times[0] < self.not_before
        return not before and not after


def _check_times(*times: datetime | None) -> None:
    """Check that times can be compared with those of signatures.

    Raises:
        UsageError: one has no time zone.
    """
    if any(time is not None and time.tzinfo is None for time in times):
        raise UsageError("bad-policy", "A time of the policy has no time zone.", "Give it in UTC.")


def _check_defined(name: str, names: Sequence[str]) -> None:
    if name not in names:
        message = f"The signer '{shown(name)}' is not defined."
        raise UsageError("bad-policy", message, "Add the signer, or correct the name.")


def digests_of(signature: Authentic) -> frozenset[str]:
    """Return what may name the signed version or a file of it: "sha256:HEX" and the like."""
    manifest = signature.manifest
    word = manifest.serialization.hash_type
    files = (f"{word}:{resource.digest.hex()}" for resource in manifest.resources)
    return frozenset({*version_digests(signature), *files})


def version_digests(signature: Authentic) -> frozenset[str]:
    """Return what names the signed version as a whole: the root digest; of one file also its own.

    The root is what `modelseal digest` prints, the other what `sha256sum FILE` does.
    """
    manifest = signature.manifest
    found = {f"sha256:{manifest.root().hex()}"}
    if len(manifest.resources) == 1 and manifest.serialization.shard_size is None:
        word = manifest.serialization.hash_type
        found.add(f"{word}:{manifest.resources[0].digest.hex()}")
    return frozenset(found)


class MLServerRules(NamedTuple):
    """What holds in MLServer only.

    - `runtimes`: the import paths that signed settings may name.
    - `model_code`: globs over the names of models whose signed folder may bring its own runtime.
    - `on_revoked`: "unload" a loaded model that is no longer accepted, or only "report" it.
    - `on_refused_reload`: "keep" the loaded copy when its reload is refused, or "unload" it.
    """

    runtimes: tuple[str, ...] = ()
    model_code: tuple[str, ...] = ()
    on_revoked: OnRevoked = "unload"
    on_refused_reload: OnRefusedReload = "keep"

    def allows_code_of(self, model: str) -> bool:
        """Return whether `model` may bring its own runtime."""
        return any(fnmatchcase(model, pattern) for pattern in self.model_code)


class _Policy(NamedTuple):
    signers: tuple[AcceptedSigner, ...]
    rules: tuple[Rule, ...]
    revoked: tuple[Revocation, ...] = ()
    mlserver: MLServerRules = MLServerRules()
    trust_root: Path | None = None
    verifier: Checks = "modelseal"
    store: StoreRules = StoreRules()
    log: LogRules | None = None
    allow_holes: tuple[str, ...] = ()


class Policy(_Policy):
    """Rules in order, the first that covers a model decides; a model without a rule is refused.

    `trust_root` is the file of the trusted root to believe, when the policy names one; `verifier`
    says whose checks of a signature count; `allow_holes` names the known holes of servers that a
    command of `modelseal exec` may open; `mlserver`, `store` and `log` are for servers. `digest` is
    "sha256:HEX" of the file that it was read from, if it was; two policies that say the same are
    equal whatever they were read from.

    Raises:
        UsageError: a part of it makes no sense, or the parts do not go together.
    """

    digest: str = ""

    def __new__(
        cls,
        *,
        signers: tuple[AcceptedSigner, ...],
        rules: tuple[Rule, ...],
        revoked: tuple[Revocation, ...] = (),
        mlserver: MLServerRules = MLServerRules(),  # noqa: B008 - immutable
        trust_root: Path | None = None,
        verifier: Checks = "modelseal",
        store: StoreRules = StoreRules(),  # noqa: B008 - it is a constant
        log: LogRules | None = None,
        allow_holes: tuple[str, ...] = (),
        digest: str = "",
    ) -> Self:
        """Return the policy, checked."""
        self = super().__new__(
            cls, signers, rules, revoked, mlserver, trust_root, verifier, store, log, allow_holes
        )
        self.digest = digest
        self._check()
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return partial(Policy, **self._asdict(), digest=self.digest), ()

    def _check(self) -> None:
        names = [signer.name for signer in self.signers]
        if len(set(names)) != len(names):
            raise UsageError("bad-policy", "Two signers of the policy have the same name.")
        for signer in self.signers:
            if not isinstance(signer, AcceptedKey):
                signer.check()
        for rule in self.rules:
            rule.check()
            for name in rule.signers:
                _check_defined(name, names)
        for revocation in self.revoked:
            revocation.check()
            if revocation.signer is not None:
                _check_defined(revocation.signer, names)
        self._check_verifier()

    def _check_verifier(self) -> None:
        others = [one for one in self.signers if not isinstance(one, AcceptedIdentity)]
        if self.verifier != "modelseal" and others:
            what = "a key" if isinstance(others[0], AcceptedKey) else "a certificate of a CA"
            raise UsageError(
                "verifier-identities-only",
                f"The verifier '{self.verifier}' checks identities only, and "
                f"'{shown(others[0].name)}' is {what}.",
                'Use the verifier "modelseal" for keys and certificates.',
            )

    @classmethod
    def for_signer(cls, identity: str, issuer: str, verifier: Checks = "modelseal") -> Policy:
        """Return the policy that accepts this one signer for every model, whatever is left out."""
        return cls.for_signers([AcceptedIdentity(EXPECTED, identity, issuer)], verifier=verifier)

    @classmethod
    def for_signers(
        cls,
        signers: Sequence[AcceptedSigner],
        threshold: int = 1,
        *,
        verifier: Checks = "modelseal",
        ignore_unsigned: Sequence[str] = (),
    ) -> Policy:
        """Return the policy that wants `threshold` of these signers for every model.

        What they left out of the signature is accepted, and reported.

        Raises:
            UsageError: the threshold is not 1 to their number, or see `Policy`.
        """
        rule = Rule(
            models=("*",),
            signers=tuple(signer.name for signer in signers),
            threshold=threshold,
            allow_ignored=("*",),
            ignore_unsigned=tuple(ignore_unsigned),
        )
        return cls(signers=tuple(signers), rules=(rule,), verifier=verifier)

    def rule_for(self, model: str) -> Rule | None:
        """Return the first rule that covers `model`."""
        return next((rule for rule in self.rules if rule.covers(model)), None)

    def accepted_by(self, rule: Rule) -> tuple[AcceptedSigner, ...]:
        """Return the signers that `rule` accepts, in its order."""
        known = {signer.name: signer for signer in self.signers}
        return tuple(known[name] for name in dict.fromkeys(rule.signers))
