# SPDX-License-Identifier: Apache-2.0
"""Verify a model where it lies: find its bundle, authenticate, compare, decide."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.errors import ModelSealError, Unverified, shown
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.model import manifest, names, scope, tree
from modelseal.model.diff import ManifestDiff, compare
from modelseal.model.find import find_bundles
from modelseal.policy.evaluate import evaluate
from modelseal.policy.rules import Policy
from modelseal.policy.verdict import STAT_CACHE, Check, Verdict, from_error
from modelseal.verification.authenticate import Authenticated, authenticate

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelseal.model.hashing import Progress
    from modelseal.model.stat_cache import StatCache
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authenticate import Verifier
    from modelseal.verification.managed import Managed


_ARTIFACT_LIMIT = 1 << 30  # bytes that a signature without a digest makes us hold in memory


def verify(
    path: str | Path,
    *,
    identity: str,
    issuer: str,
    bundle: str | Path | None = None,
    trusted_root: str | Path | None = None,
    trust_config: str | Path | None = None,
    instance: str | None = None,
    refresh: bool = False,
    verifier: Verifier = "modelseal",
) -> Verdict:
    """Return whether the model at `path` is what `identity`, vouched for by `issuer`, signed.

    Offline, unless `refresh` asks TUF what the instance publishes now. A decided no is a value: the
    verdict is true only if accepted. The bundle is looked for beside a file and inside a folder;
    without a trust option the public instance is believed. `verifier` says whose checks of the
    signature count: "modelseal", "sigstore" or "both".

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
    """
    from modelseal.trust import trust_root as trust  # noqa: PLC0415 - 3 ms that a key does without

    root = trust.choose(
        trusted_root=trusted_root, trust_config=trust_config, instance=instance, refresh=refresh
    )
    return check(Path(path), Policy.for_signer(identity, issuer, verifier), root, bundle)


def check(
    path: Path,
    policy: Policy,
    root: TrustRoot,
    bundle: str | Path | None = None,
    progress: Progress | None = None,
    *,
    cache: StatCache | None = None,
) -> Verdict:
    """Return the verdict of `policy` on the model at `path`; otherwise as `verify`.

    With a `cache` files that look unchanged are believed unread, and the verdict says so.
    """

    def judged(one: Path) -> Verdict:
        data = _read_bundle(one, given=bundle is not None)
        found = authenticate(data, root, policy.verifier)
        verdict = evaluate(str(path), found, ManifestDiff(), policy)
        if not verdict:  # the signer is not accepted: no need to read the model
            return verdict
        diff = differences(path, found, bundle, progress, cache)
        return _noted(evaluate(str(path), found, diff, policy) if diff else verdict, cache)

    return _first_accepted(path, bundle, judged, root.source)


def check_managed(
    path: Path,
    believed: Managed,
    root: TrustRoot | None = None,
    bundle: str | Path | None = None,
    progress: Progress | None = None,
    *,
    cache: StatCache | None = None,
) -> Verdict:
    """Return whether the model at `path` was signed by the key or CA that is believed.

    With a trust `root` its log and timestamps are checked too; `cache` as in `check`.

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
    """
    from modelseal.verification import managed  # noqa: PLC0415 - X.509, only where wanted

    def judged(one: Path) -> Verdict:
        data = _read_bundle(one, given=bundle is not None)
        found = managed.authenticate(data, believed, root, partial(artifact_bytes, path))
        policy = Policy.for_signer(found.signer.subject, found.signer.issuer)
        diff = differences(path, found, bundle, progress, cache)
        return _noted(evaluate(str(path), found, diff, policy), cache)

    return _first_accepted(path, bundle, judged, managed.source_of(root))


def artifact_bytes(path: Path) -> bytes:
    """Return the bytes of the one file `path`, for a signature that cannot do with a digest.

    Raises:
        FormatError: too large to be held in memory. UsageError, Undecided: it cannot be read.
    """
    if is_folder(path):
        raise _one_file(path)
    return tree.read(path, _ARTIFACT_LIMIT, "artifact")


def _read_bundle(path: Path, *, given: bool) -> bytes:
    """Return the bytes of a bundle: the operator's, if `given`, else one that came with a model."""
    read = read_trusted if given else tree.read
    return read(path, bundle_format.LIMIT, "bundle")


def _one_file(path: Path) -> Unverified:
    return Unverified(
        "wrong-kind",
        f"The bundle signs one file, but '{shown(str(path))}' is a folder.",
        "Verify the file that was signed.",
    )


def _first_accepted(
    path: Path,
    bundle: str | Path | None,
    judged: Callable[[Path], Verdict],
    believed: str,
) -> Verdict:
    """Return the first yes about a bundle of the model; if there is none, the verdict on the first.

    Raises:
        UsageError: the call itself is wrong, such as a path that does not exist.
    """
    name, refusals = str(path), []
    try:
        for one in find_bundles(path, bundle):
            try:
                verdict = judged(one)
            except ModelSealError as error:
                verdict = from_error(name, error, believed)
            if verdict:
                return verdict
            refusals.append(verdict)
    except ModelSealError as error:  # of the search
        refusals.append(from_error(name, error, believed))
    return refusals[0]


def _noted(verdict: Verdict, cache: StatCache | None) -> Verdict:
    """Return the verdict, with a word on what was not looked at."""
    if cache is None:
        return verdict
    said = f"{cache.unread} of the files were not read: they look as when they were last signed"
    return replace(verdict, checks=(*verdict.checks, Check(STAT_CACHE, passed=True, detail=said)))


def differences(
    path: Path,
    found: Authenticated,
    bundle: str | Path | None = None,
    progress: Progress | None = None,
    cache: StatCache | None = None,
) -> ManifestDiff:
    """Return what the model at `path` differs in from what was signed.

    Files that look as the `cache` knows them are not read.

    Raises:
        FormatError, Undecided, UsageError: the model cannot be read as one.
    """
    folder = is_folder(path)
    if folder and found.kind == "artifact":
        raise _one_file(path)
    if not folder:
        return _of_one_file(path, found, progress, cache)
    bundles = scope.bundles_in(path, None if bundle is None else Path(bundle))
    signed = scope.of_signed(found.manifest, bundle_names=bundles)
    how = found.manifest.serialization
    actual = manifest.of_folder(path, signed, progress, how, cache)
    return compare(manifest.Contents(found.manifest), actual)


def _of_one_file(
    path: Path, found: Authenticated, progress: Progress | None, cache: StatCache | None
) -> ManifestDiff:
    """Compare one file; what the signer called it does not matter, a model may be renamed."""
    signed = manifest.renamed(found.manifest, names.from_disk(path.name))
    if signed is None:
        count = len(found.manifest.file_names())
        raise Unverified(
            "wrong-kind",
            f"The bundle signs {count} files, but '{shown(str(path))}' is one file.",
            "Verify the folder that was signed.",
        )
    actual = manifest.of_file(path, progress, signed.serialization, cache)
    return compare(manifest.Contents(signed), actual)
