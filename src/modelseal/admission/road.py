# SPDX-License-Identifier: Apache-2.0
"""The road from a model to its verdict, whoever asks and whatever happens to the files then.

Bundles are found and authenticated, the policy says which signatures count, and only then are the
files compared: read where they are, or copied into the store, which is the caller's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import ModelSealError, Unverified, UsageError, shown
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.formats import oms
from modelseal.model import names, tree
from modelseal.model import scope as scopes
from modelseal.model.find import find_bundles
from modelseal.model.manifest import renamed
from modelseal.policy.decide import Refused, agree, decide
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity, AcceptedKey
from modelseal.policy.verdict import Verdict, from_error
from modelseal.verification.believed import Believed, TrustedAuthority, TrustedKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

    from modelseal.formats.oms import Manifest
    from modelseal.model.diff import ManifestDiff
    from modelseal.model.scope import Scope
    from modelseal.policy.decide import Agreement
    from modelseal.policy.rules import Policy, Rule
    from modelseal.verification.authentic import Authentic
    from modelseal.verification.verifier import Verifier

_ARTIFACT_LIMIT = 1 << 30  # bytes that a signature without a digest makes us hold in memory


class Agreed(NamedTuple):
    """What signers that are enough agree on, ready to be compared with the files at `path`.

    `manifest` is what must be there: that of the agreement, under the name of a single file.
    """

    path: Path
    agreement: Agreement
    manifest: Manifest
    scope: Scope
    is_folder: bool


class Compared(NamedTuple):
    """How the files differ from what was agreed on, and what is there unsigned and may be.

    `contents` says what is in each file, if the rule asks (`model.content`).
    """

    diff: ManifestDiff
    unsigned: tuple[str, ...] = ()
    contents: Mapping[str, str] | None = None


def judge(
    path: Path,
    name: str,
    policy: Policy,
    verifier: Verifier,
    compare: Callable[[Agreed], Compared],
    *,
    bundle: Path | None = None,
    newest: datetime | None = None,
) -> Verdict:
    """Return the verdict of `policy` on the model at `path`, which its rules know by `name`.

    `compare` is asked as soon as enough signatures hold, and again for each other set of files that
    signers agree on. `newest` is when the newest version accepted so far was signed.

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
    """
    verdicts = _Verdicts(_Case(path, name, policy, compare, bundle, newest))
    rule = policy.rule_for(name)
    believed = believed_by(policy, rule)
    one_is_enough = rule is not None and rule.threshold == 1
    try:
        for one in find_bundles(path, bundle):
            verdicts.add(*_authenticated(path, one, verifier, believed, given=bundle is not None))
            if one_is_enough and (accepted := verdicts.accepted()):
                return accepted
    except UsageError:
        raise
    except ModelSealError as error:  # of finding them: nothing else in there raises one
        verdicts.add(None, Refused("", error))
    return verdicts.accepted() or verdicts.refusal(verifier.source)


class _Case(NamedTuple):
    """What `judge` is asked."""

    path: Path
    name: str
    policy: Policy
    compare: Callable[[Agreed], Compared]
    bundle: Path | None
    newest: datetime | None


class _Verdicts:
    """The verdict, as it becomes known from one bundle after the other."""

    def __init__(self, case: _Case) -> None:
        self._case = case
        self._found: list[Authentic] = []
        self._refused: list[Refused] = []
        self._compared: dict[Manifest, Verdict] = {}

    def add(self, found: Authentic | None, refused: Refused | None) -> None:
        """Take one more bundle into account."""
        if refused is not None:
            self._refused.append(refused)
        if found is not None:
            self._found.append(found)

    def accepted(self) -> Verdict | None:
        """Return the yes about a set of the signatures known so far, None if there is none.

        One that only a warning makes a yes is not: a further bundle may need no warning.
        """
        agreements = self._agree() if self._found else ()
        if isinstance(agreements, Verdict):
            return None
        for one in agreements:
            if one.manifest not in self._compared:
                self._compared[one.manifest] = self._decided(one)
            verdict = self._compared[one.manifest]
            if verdict and not verdict.warned:
                return verdict
        return None

    def refusal(self, source: str) -> Verdict:
        """Return the verdict when all bundles are known and there is no plain yes."""
        if self._compared:
            return next(iter(self._compared.values()))
        refusal = self._agree()
        if not isinstance(refusal, Verdict):  # unreachable: agreements were compared
            raise TypeError("no verdict")
        return refusal.replace(trust=refusal.trust or source)

    def _agree(self) -> tuple[Agreement, ...] | Verdict:
        case = self._case
        rule = case.policy.rule_for(case.name)
        now = _now() if rule is not None and rule.needs_time else None
        return agree(
            case.name, self._found, self._refused, case.policy, now=now, newest=case.newest
        )

    def _decided(self, agreement: Agreement) -> Verdict:
        try:
            compared = self._case.compare(_agreed(self._case.path, agreement, self._case.bundle))
        except UsageError:
            raise
        except ModelSealError as error:
            return from_error(self._case.name, error, agreement.signatures[0].trust)
        return decide(agreement, compared.diff, compared.contents, compared.unsigned)


def _agreed(path: Path, agreement: Agreement, bundle: Path | None) -> Agreed:
    """Return what is to be compared, having checked that a file or a folder was signed as such.

    What the signer called a single file does not matter, a model may be renamed.

    Raises:
        Unverified: a folder with the signature of a file, or the other way round ("wrong-kind").
        FormatError: a name that is not UTF-8.
    """
    folder = is_folder(path)
    signed: Manifest | None = agreement.manifest
    if folder and agreement.kind == "artifact":
        signed = None
    elif not folder:
        signed = renamed(agreement.manifest, oms.check_name(names.from_disk(path.name)))
    if signed is None:
        count = len(agreement.manifest.file_names())
        what, is_, hint = (
            ("one file", "a folder", "Verify the file that was signed.")
            if folder
            else (f"{count} files", "one file", "Verify the folder that was signed.")
        )
        raise Unverified(
            "wrong-kind", f"The bundle signs {what}, but '{shown(str(path))}' is {is_}.", hint
        )
    scope = scopes.of_signed(
        signed,
        bundle_names=scopes.bundles_in(path, bundle) if folder else (),
        ignore_unsigned=agreement.rule.ignore_unsigned,
    )
    return Agreed(path, agreement, signed, scope, folder)


def _authenticated(
    path: Path, bundle: Path, verifier: Verifier, believed: Believed, *, given: bool
) -> tuple[Authentic | None, Refused | None]:
    """Return what the verifier says of one bundle: who signed, or why it does not hold."""

    def artifact() -> bytes:
        if is_folder(path):
            raise Unverified(
                "wrong-kind",
                f"The bundle signs one file, but '{shown(str(path))}' is a folder.",
                "Verify the file that was signed.",
            )
        return tree.read(path, _ARTIFACT_LIMIT, "artifact")

    name = names.from_disk(bundle.name)
    try:
        data = read_bundle(bundle, given=given)
        return verifier.authenticate(data, believed, artifact, name=name), None
    except UsageError:
        raise
    except ModelSealError as error:
        return None, Refused(name, error)


def read_bundle(path: Path, *, given: bool) -> bytes:
    """Return the bytes of the bundle at `path`; one that was `given` is the operator's own file.

    Raises:
        UsageError, FormatError, Undecided: missing, too large, a link in a model, unreadable.
    """
    if given:
        return read_trusted(path, bundle_format.LIMIT, "bundle")
    return tree.read(path, bundle_format.LIMIT, "bundle")


def believed_by(policy: Policy, rule: Rule | None) -> Believed:
    """Return whose signatures are believed, which are those of the `rule`'s signers.

    Without a rule they are those of all signers, so that a refusal can say who signed.
    """
    signers = policy.signers if rule is None else policy.accepted_by(rule)
    keys = (one for one in signers if isinstance(one, AcceptedKey))
    authorities = (one for one in signers if isinstance(one, AcceptedAuthority))
    return Believed(
        any(isinstance(one, AcceptedIdentity) for one in signers),
        tuple(TrustedKey(one.key, one.logged) for one in keys),
        tuple(TrustedAuthority(one.roots, one.logged) for one in authorities),
        policy.verifier,
    )


def _now() -> datetime:
    from datetime import UTC, datetime  # noqa: PLC0415 - 3 ms that few rules need

    return datetime.now(UTC)
