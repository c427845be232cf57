# SPDX-License-Identifier: Apache-2.0
"""Several signatures over one model: how many of the signers given signed the files that are there.

A signer counts once, however many bundles they made. Only signatures of the same manifest count
together, and what one of those signers did sign none of the others can leave out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.admission.verify import artifact_bytes, differences
from modelseal.errors import ModelSealError, UsageError, shown
from modelseal.formats import bundle as bundle_format
from modelseal.model import tree
from modelseal.model.diff import ManifestDiff
from modelseal.model.find import find_bundles
from modelseal.policy.evaluate import evaluate
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedIdentity
from modelseal.policy.verdict import Check, Verdict, from_error
from modelseal.trust import trust_root as trust
from modelseal.verification.authenticate import Authenticated, authenticate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from modelseal.model.hashing import Progress
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authenticate import Verifier
    from modelseal.verification.managed import TrustedKey

    Reader = Callable[[bytes], Authenticated]


@dataclass(frozen=True)
class _Found:
    """A signature that holds, by one of the signers given; `bundle` is the name of its file."""

    bundle: str
    authenticated: Authenticated

    def signs(self) -> tuple[object, ...]:
        """Return what must be equal in signatures that count together."""
        signed = self.authenticated.manifest
        return self.authenticated.kind, signed.serialization, signed.resources

    def signer(self) -> tuple[str, str]:
        """Return who this is, without what the certificate says beside."""
        return self.authenticated.signer.subject, self.authenticated.signer.issuer


def verify_threshold(
    path: str | Path,
    *,
    signers: Iterable[tuple[str, str]],
    threshold: int,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    verifier: Verifier = "modelseal",
) -> Verdict:
    """Return whether at least `threshold` of the `signers` signed the model at `path`.

    Each signer is an identity and its issuer. Otherwise as `verify`.

    Raises:
        UsageError: the call itself is wrong, such as a threshold that nobody can reach.
    """
    root = trust.choose(trusted_root=trusted_root, trust_config=trust_config, instance=instance)
    return check_identities(Path(path), list(signers), threshold, root, verifier=verifier)


def check_identities(
    path: Path,
    signers: Sequence[tuple[str, str]],
    threshold: int,
    root: TrustRoot,
    *,
    verifier: Verifier = "modelseal",
    progress: Progress | None = None,
) -> Verdict:
    """Return the verdict on the model at `path`; otherwise as `verify_threshold`."""
    given = frozenset(signers)
    _check_threshold(threshold, len(given))
    policy = _policy(given)

    def read(data: bytes) -> Authenticated:
        found = authenticate(data, root, verifier)
        evaluate("", found, ManifestDiff(), policy).raise_for_refusal()
        return found

    return _judged(path, (read,), threshold, root.source, progress)


def check_keys(
    path: Path,
    believed: Sequence[TrustedKey],
    threshold: int,
    root: TrustRoot | None = None,
    *,
    progress: Progress | None = None,
) -> Verdict:
    """Return whether at least `threshold` of the keys `believed` signed the model at `path`.

    With a trust `root` their log entries and timestamps are checked too.

    Raises:
        UsageError: the call itself is wrong, such as a threshold that nobody can reach.
    """
    from functools import partial  # noqa: PLC0415 - only where keys are wanted

    from modelseal.trust import keys  # noqa: PLC0415 - as above
    from modelseal.verification import managed  # noqa: PLC0415 - as above

    given = {keys.public_pem(one.key): one for one in believed}
    _check_threshold(threshold, len(given))
    read = partial(artifact_bytes, path)
    readers = [
        partial(managed.authenticate, believed=one, trust=root, read=read) for one in given.values()
    ]
    return _judged(path, readers, threshold, managed.source_of(root), progress)


def _check_threshold(threshold: int, count: int) -> None:
    if not 1 <= threshold <= count:
        message = f"A threshold of {threshold} makes no sense with {count} different signers."
        raise UsageError("bad-threshold", message, "It is 1 to as many as are given.")


def _policy(signers: Iterable[tuple[str, str]]) -> Policy:
    named = tuple(AcceptedIdentity(str(n), *pair) for n, pair in enumerate(sorted(signers)))
    return Policy.for_signers(named)


def _judged(
    path: Path,
    readers: Sequence[Reader],
    threshold: int,
    believed: str,
    progress: Progress | None,
) -> Verdict:
    try:
        found, refused = _read(tuple(find_bundles(path)), readers)
        groups: dict[tuple[object, ...], dict[tuple[str, str], _Found]] = {}
        for one in found:
            groups.setdefault(one.signs(), {}).setdefault(one.signer(), one)
        together = [list(group.values()) for group in groups.values()]
        best = max(together, key=len, default=[])
        if len(best) < threshold:
            return replace(_too_few(path, best, threshold, refused), trust=believed)
        # Groups are over different files: of those that are enough at most one fits what is there.
        verdicts = [
            _compared(path, group, refused, progress)
            for group in together
            if len(group) >= threshold
        ]
    except ModelSealError as error:
        return from_error(str(path), error, believed)
    return next(filter(None, verdicts), verdicts[0])


def _read(
    bundles: Sequence[Path], readers: Sequence[Reader]
) -> tuple[list[_Found], tuple[Check, ...]]:
    """Return the signatures by signers that were given, and why the other bundles do not count."""
    found, refused = [], []
    for path in bundles:
        reason = ""
        try:
            data = tree.read(path, bundle_format.LIMIT, "bundle")
            one, reason = _by_any(data, readers)
        except ModelSealError as error:
            one, reason = None, error.message
        if one is None:
            refused.append(Check("not counted", passed=False, detail=_in(path.name, reason)))
        else:
            found.append(_Found(path.name, one))
    return found, tuple(refused)


def _by_any(data: bytes, readers: Sequence[Reader]) -> tuple[Authenticated | None, str]:
    reason = ""
    for read in readers:
        try:
            return read(data), ""
        except ModelSealError as error:
            reason = reason or error.message
    return None, reason


def _compared(
    path: Path, group: list[_Found], refused: tuple[Check, ...], progress: Progress | None
) -> Verdict:
    """Return the verdict on the files, of which none is left out that one of the group signed."""
    first = group[0].authenticated
    left_out = frozenset.intersection(
        *(frozenset(one.authenticated.manifest.ignored) for one in group)
    )
    strictest = first.manifest._replace(ignored=tuple(sorted(left_out)))
    judged = first._replace(manifest=strictest)
    diff = differences(path, judged, progress=progress)
    verdict = evaluate(str(path), judged, diff, _policy([group[0].signer()]))
    more = tuple(
        Check("signature", passed=True, detail=_in(one.bundle, f"signed by {_named(one)}"))
        for one in group[1:]
    )
    message = verdict.message
    if verdict:
        message = f"Signed by {len(group)}: {', '.join(_named(one) for one in group)}."
    return replace(verdict, message=message, checks=(*verdict.checks, *more, *refused))


def _too_few(path: Path, best: list[_Found], wanted: int, refused: tuple[Check, ...]) -> Verdict:
    said = ", ".join(_named(one) for one in best) or "none"
    message = f"{len(best)} of the signers given signed the same files, not {wanted}: {said}."
    hint = "Ask those who have not signed yet, or use a lower threshold only if that is meant."
    checks = (Check("threshold", passed=False, detail=message), *refused)
    return Verdict("refused", str(path), "too-few-signers", message, hint, checks)


def _in(bundle: str, said: str) -> str:
    return f"{shown(bundle)}: {said}"


def _named(one: _Found) -> str:
    subject, issuer = one.signer()
    return f"'{shown(subject)}' ({shown(issuer)})"
