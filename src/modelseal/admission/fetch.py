# SPDX-License-Identifier: Apache-2.0
"""Fetch a model from where it lives: nothing of it is seen before the policy has accepted it.

The signatures come first: a model whose signer is not accepted, or that lacks a signed file, is
refused before the rest is downloaded. Of the rest only files that were signed are. They are
verified in a private folder, and only then get the name that was asked for.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from modelseal.admission.check import check
from modelseal.admission.fetch_pin import Pin, root_of
from modelseal.admission.load import temporary_store
from modelseal.admission.road import Compared, judge
from modelseal.errors import FormatError, ModelSealError, Undecided, shown
from modelseal.files import exists
from modelseal.formats import bundle as bundle_format
from modelseal.model import names
from modelseal.model.bundles import is_bundle_name, is_folders_bundle
from modelseal.model.diff import differing
from modelseal.sources import staging, uri

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelseal.admission.road import Agreed
    from modelseal.model.scope import Scope
    from modelseal.policy.rules import Policy
    from modelseal.policy.verdict import Verdict
    from modelseal.sources.base import Count, Object, Resolved, Source
    from modelseal.sources.staging import Staging
    from modelseal.verification.verifier import Verifier


class Remote(NamedTuple):
    """A model at its source, as it is now, and the URI that was asked for."""

    uri: str
    source: Source
    resolved: Resolved


class Asker(NamedTuple):
    """Who is accepted, and what is believed; `unpack` if the model is in an archive."""

    policy: Policy
    verifier: Verifier
    bundle: Path | None = None
    unpack: bool = False


class Fetched(NamedTuple):
    """Where the model is now, and why it was accepted."""

    path: Path
    verdict: Verdict


def find(text: str, pin: Pin | None = None) -> Remote:
    """Return the model at the URI `text` as it is now, or as it was when it was pinned.

    Raises:
        UsageError: no such model, or a URI that is not understood; it is not the pinned one.
        FormatError: what is there now is not what was pinned ("revision-changed").
        Undecided: its source cannot be asked.
    """
    if pin is not None:
        pin.check_uri(text)
    source = uri.at(text if pin is None else pin.revision)
    resolved = source.resolve()
    staging.check_folder_name(resolved.name)
    if pin is not None and resolved.revision != pin.revision:
        raise FormatError(
            "revision-changed",
            f"'{shown(text)}' is not what was pinned: it is now {shown(resolved.revision)}.",
            "If that is right, remove the pin and fetch it again.",
        )
    return Remote(text, source, resolved)


def fetch(
    remote: Remote, target: Path, asker: Asker, count: Count, *, pin: Pin | None = None
) -> Fetched:
    """Return the model as the folder `target`, which has only files that were accepted.

    It must be the one that was pinned, if there is a `pin`. A transfer that failed is continued by
    the next one; see `staging`.

    Raises:
        PolicyRefused: refused. FormatError: other bytes than listed, or than pinned.
        UsageError: `target` is there. Undecided: the transfer failed, or no room.
    """
    with staging.opened(target) as place:
        try:
            path = _download(remote, place, asker, count)
            if asker.unpack:
                verdict = _unpacked(path, remote, place, asker)
            else:
                verdict = _accepted(path, remote, asker)
            if pin is not None:
                pin.check_root(verdict.manifest)
            place.publish(target)
        except Undecided:
            if not place.has_bytes():
                place.remove()
            raise
        except ModelSealError:
            place.remove()
            raise
        place.remove()
    path = target if asker.unpack else _model(target, remote.resolved)
    return Fetched(path, verdict)


def _accepted(path: Path, remote: Remote, asker: Asker) -> Verdict:
    """Return the yes to the model at `path`.

    Raises:
        PolicyRefused, Undecided: there is none.
    """
    verdict = check(path, asker.policy, asker.verifier, asker.bundle)
    verdict = verdict.replace(model=remote.resolved.revision)
    verdict.raise_for_refusal()
    return verdict


def _unpacked(archive: Path, remote: Remote, place: Staging, asker: Asker) -> Verdict:
    """Make the model of what is in the `archive`; return the yes to it.

    A signed archive is verified before it is unpacked. Of any other the contents are, as a folder.

    Raises:
        FormatError: it is none. PolicyRefused, Undecided: as `_accepted`.
    """
    from modelseal.sources.archive import unpack  # noqa: PLC0415 - only for archives

    if not remote.resolved.is_file:
        message = f"'{shown(remote.uri)}' is a folder, not an archive."
        raise FormatError("not-an-archive", message, "Leave out --unpack.")
    signed = len(remote.resolved.objects) > 1 or asker.bundle is not None
    verdict = _accepted(archive, remote, asker) if signed else None
    place.replace_model(lambda into: unpack(archive, into))
    return verdict or _accepted(place.model, remote, asker)


def fetched_before(target: Path, asker: Asker, pin: Pin) -> Fetched | None:
    """Return what was fetched into `target` earlier if it is still accepted and as pinned.

    None if there is nothing. The source is not asked.

    Raises:
        PolicyRefused, Undecided: it is not accepted any more.
        FormatError: it is another version.
    """
    if not exists(target):
        return None
    path = target if pin.file is None else target / names.to_disk(pin.file)
    verdict = check(path, asker.policy, asker.verifier, asker.bundle)
    verdict.raise_for_refusal()
    pin.check_root(verdict.manifest)
    return Fetched(path, verdict.replace(model=pin.revision))


def pin_of(remote: Remote, fetched: Fetched) -> Pin:
    """Return the pin of what was fetched.

    Raises:
        FormatError: the policy only warned about it ("nothing-to-pin").
    """
    resolved = remote.resolved
    file = resolved.name if resolved.is_file else None
    return Pin(remote.uri, resolved.revision, root_of(fetched.verdict.manifest), file)


@contextmanager
def fetched_temporarily(remote: Remote, asker: Asker, count: Count) -> Iterator[Path]:
    """Give where the files are that the signers agreed on, still to be verified.

    Raises:
        PolicyRefused, FormatError, UsageError, Undecided: as `fetch`.
    """
    with temporary_store() as folder:
        with staging.translated(folder):
            place = staging.Staging(folder, names.to_disk(remote.resolved.name))
            path = _download(remote, place, asker, count)
        yield path


def check_remote(remote: Remote, asker: Asker, count: Count) -> Verdict:
    """Return the verdict on a model elsewhere, which is downloaded and removed again.

    Raises:
        UsageError: the call itself is wrong.
    """
    from modelseal.policy.verdict import from_error  # noqa: PLC0415 - hardly any run needs it

    revision = remote.resolved.revision
    try:
        with fetched_temporarily(remote, asker, count) as path:
            verdict = check(path, asker.policy, asker.verifier, asker.bundle)
    except ModelSealError as error:
        verdict = from_error(revision, error, asker.verifier.source)
    return verdict.replace(model=revision)


def _download(remote: Remote, place: Staging, asker: Asker, count: Count) -> Path:
    """Return where the files are that the signers agreed on, with the signatures.

    Raises:
        PolicyRefused: the signatures alone are reason enough.
        FormatError, Undecided: see `staging.download`.
    """
    resolved = remote.resolved
    place.prepare(resolved.revision)
    signatures = [one for one in resolved.objects if _is_signature(one, resolved)]
    wanted = list(resolved.objects)
    if not resolved.is_file:
        for one in signatures:
            if (one.size or 0) > bundle_format.LIMIT:
                raise FormatError("too-large", f"'{shown(one.name)}' is too large for a bundle.")
        staging.download(remote.source, place, signatures, count)
        scope = _agreed(place.model, resolved, asker)
        if scope is not None:
            wanted = [one for one in wanted if one in signatures or scope.is_signed(one.name)]
    missing = [one.size or 0 for one in wanted if not place.has(one)]
    staging.check_room(place.path, sum(missing))
    staging.download(remote.source, place, wanted, count)
    return _model(place.model, resolved)


def _agreed(folder: Path, resolved: Resolved, asker: Asker) -> Scope | None:
    """Return which files of the model signers agree on, who are accepted by their signatures.

    None if the policy only warns about the model, and all of it is wanted.

    Raises:
        PolicyRefused, Undecided: they are not.
    """
    found: list[Scope] = []

    def compare(agreed: Agreed) -> Compared:
        found.append(agreed.scope)
        there = [one.name for one in resolved.objects if not _skipped(one.name, agreed.scope)]
        sizes = {one.name: one.size for one in resolved.objects if one.size is not None}
        signed = dict.fromkeys(agreed.manifest.file_names())
        return Compared(differing(signed, dict.fromkeys(there), {}, sizes))

    name = names.text(folder.name)
    verdict = judge(
        folder, name, asker.policy, asker.verifier, compare, bundle=asker.bundle
    ).replace(model=resolved.revision)
    if verdict.code == "format-not-allowed":  # what is in the files nobody can tell yet
        return found[-1]
    verdict.raise_for_refusal()
    return None if verdict.warned else found[-1]


def _skipped(name: str, scope: Scope) -> bool:
    """Return whether the file `name` is not compared, being left out, ignored or a signature."""
    folders = list(accumulate(name.split("/"), lambda above, part: f"{above}/{part}"))[:-1]
    if not scope.skip.isdisjoint([*folders, name]):
        return True
    return scope.ignores(name, folder=False) or any(scope.ignores(f, folder=True) for f in folders)


def _is_signature(one: Object, resolved: Resolved) -> bool:
    if resolved.is_file:
        return one.name != resolved.name and is_bundle_name(one.name)
    return is_folders_bundle(one.name)


def _model(folder: Path, resolved: Resolved) -> Path:
    return folder / names.to_disk(resolved.name) if resolved.is_file else folder
