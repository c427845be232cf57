# SPDX-License-Identifier: Apache-2.0
"""What is to be signed: the model read once, and where its bundle goes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelseal import files
from modelseal.errors import FormatError, ModelSealError, UsageError, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.model import lfs, manifest, names, scope, stat_cache, tree
from modelseal.model.bundles import next_bundle
from modelseal.signing.place import Place, place_of
from modelseal.signing.signers import NOTED, WHOLE_LIMIT
from modelseal.verification.claim import claimed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from modelseal.model.digests import Reading
    from modelseal.trust.signature import HashName
    from modelseal.verification.authentic import Kind

_GLOB = frozenset("*?[")
_MATERIAL = 128 * 1024  # bytes of a bundle that are not what was signed; some 10,000 are usual
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Plan:
    """One model that is to be signed, and where its bundle goes.

    `message` is what the signer wants: an in-toto statement, or of an artifact its digest or all of
    it. Of the files, `pointers` are Git LFS pointers.
    """

    path: Path
    place: Place
    manifest: oms.Manifest
    kind: Kind
    message: bytes
    pointers: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Return more bytes than the bundle will have."""
        statement = len(self.message) if self.kind == "oms" else 0
        return _MATERIAL + statement * 4 // 3


@dataclass(frozen=True)
class SignOptions:
    """How to sign: how files become resources, what is left out, whether a file is a model too.

    With `known` the digests are believed, and no file is read. With `add` the bundle is put beside
    those that are there, which must be about the same files. With `update` the bundle is replaced,
    and files are not read that look as at the last update and have the digest that it signs.
    """

    serialization: oms.Serialization = field(default_factory=oms.Serialization)
    ignored: tuple[Path, ...] = ()
    files_as_models: bool = False
    known: oms.Manifest | None = None
    add: bool = False
    update: bool = False


def make_plan(
    path: Path,
    bundle: str | Path | None,
    options: SignOptions,
    artifact_hash: HashName | None,
    *,
    overwrite: bool,
    reading: Reading,
) -> Plan:
    """Return what to sign, refusing early what would fail after the sign-in.

    `artifact_hash` is what the signer of a file signs by; None if it wants the file itself.

    Raises:
        UsageError, FormatError, Undecided: it cannot be signed so.
    """
    if options.known is not None:
        return _known(path, bundle, options.known, overwrite=overwrite)
    is_folder = files.is_folder(path)
    first = place_of(path, bundle, is_folder=is_folder)
    place = Place(next_bundle(first.path), first.untrusted) if options.add else first
    in_scope = None
    if is_folder:
        links = options.serialization.allow_symlinks
        in_scope = scope.to_sign(path, options.ignored, bundle=place.path, follow_links=links)
        _refuse_patterns(in_scope.skip)
    place.check(overwrite=overwrite)  # before all of it is read
    cache = _notes(path, place, folder=is_folder) if options.update else None
    reading = reading._replace(cache=cache)
    message = b""
    if in_scope is not None:
        contents = manifest.of_folder(path, in_scope, options.serialization, reading)
    elif options.files_as_models:
        contents = manifest.of_file(path, options.serialization, reading)
    else:
        message, contents = _artifact(path, artifact_hash, reading)
    found = contents.manifest
    _subject(path)  # what the signature says it is about
    _refuse_control_characters(found)
    if cache is not None:
        cache.save()
    kind: Kind = "oms" if is_folder or options.files_as_models else "artifact"
    if kind == "oms":
        found = _linked_as(first.path, found, options) if place != first else found
        message = _statement(path, found)
    plan = Plan(path, place, found, kind, message, tuple(sorted(contents.pointers)))
    if place != first:
        _check_same(first.path, plan)
    return plan


def _linked_as(first: Path, found: oms.Manifest, options: SignOptions) -> oms.Manifest:
    """Return `found` with what the bundle `first` records of links, so that the two count together.

    That is for the links of a hub's cache, which are followed whatever is recorded: a model may
    have been signed before it was uploaded.
    """
    how = found.serialization
    if how.allow_symlinks == options.serialization.allow_symlinks:
        return found
    signed = claimed(_read(first))[1]
    links = signed.serialization.allow_symlinks
    return found._replace(serialization=how._replace(allow_symlinks=links))


def _read(bundle: Path) -> bundle_format.Bundle:
    return bundle_format.parse(tree.read(bundle, bundle_format.LIMIT, "bundle"))


def _subject(path: Path) -> str:
    """Return what the signature says it is about.

    Raises:
        FormatError: the name is not UTF-8, or no file can have it.
    """
    name = path.resolve().name if path.name in {"", ".."} else path.name  # a link keeps its name
    return oms.check_name(names.from_disk(name) or "model")


def _statement(path: Path, found: oms.Manifest) -> bytes:
    """Return the statement to sign for the model at `path`.

    Raises:
        FormatError: no verifier would read the bundle of it ("too-large").
    """
    message = intoto.to_bytes(oms.to_statement(found, _subject(path)))
    if len(message) * 4 // 3 + _MATERIAL > bundle_format.LIMIT:
        raise FormatError(
            "too-large",
            f"The list of the files of '{shown(str(path))}' is too large for a signature: "
            f"{len(message) >> 20} MiB.",
            "Pack many small files into one, or use a larger --shard-size.",
        )
    return message


def _notes(path: Path, place: Place, *, folder: bool) -> stat_cache.StatCache:
    """Return what is known of the model and what the bundle to be replaced at `place` claims.

    Whoever signed that: a wrong claim agrees with nothing that was hashed here, so more is read.
    """
    signed: oms.Manifest | None = None
    try:
        if place.untrusted is None and not files.is_stream(place.path):
            data = files.read_trusted(place.path, bundle_format.LIMIT, "bundle")
        else:
            data = tree.read(place.path, bundle_format.LIMIT, "bundle")
        parsed = bundle_format.parse(data)
        signed = claimed(parsed)[1]
    except ModelSealError:
        pass  # none, or none that can be read: all is read
    if signed is not None and not folder:
        signed = manifest.renamed(signed, names.from_disk(path.name))
    return stat_cache.load(path).agreeing(signed)


def _artifact(path: Path, by: HashName | None, reading: Reading) -> tuple[bytes, manifest.Contents]:
    """Return what the signer of the file wants, read once, and what the file is.

    Raises:
        FormatError: empty ("empty-file"), or too large to be signed whole ("too-large"). Otherwise
            as `of_file`.
    """
    if by is None:
        artifact = _whole(path)
        name = names.from_disk(path.name)
        found = oms.Manifest((oms.Resource(name, hashlib.sha256(artifact).digest()),))
        pointers = frozenset({name} if lfs.is_pointer_text(artifact) else ())
        contents = manifest.Contents(found, pointers=pointers)
    else:
        how = oms.Serialization(hash_type=by)
        contents = manifest.of_file(path, how, reading)
        artifact = contents.manifest.resources[0].digest
    if path.stat().st_size == 0:
        raise FormatError(
            "empty-file",
            f"'{shown(str(path))}' is empty.",
            "Check that the model was saved; a signature of nothing means nothing.",
        )
    return artifact, contents


def _whole(path: Path) -> bytes:
    if path.lstat().st_size > WHOLE_LIMIT:
        raise FormatError(
            "too-large",
            f"'{shown(str(path))}' is larger than the {WHOLE_LIMIT >> 20} MiB that an Ed25519 key "
            "signs: all of it must be in memory.",
            "Sign with an ECDSA or RSA key: they sign a digest.",
        )
    return tree.read(path, WHOLE_LIMIT, "file")


def _check_same(first: Path, plan: Plan) -> None:
    """Check that the bundle `first` claims to sign just what is in `plan`.

    Raises:
        UsageError: it does not, so the two signatures would never count together.
    """
    parsed, found = _read(first), plan.manifest
    if plan.kind == "artifact":  # whose name is not signed
        same = _is_same_artifact(parsed, plan)
    else:
        signs, signed = claimed(parsed)
        same = (signs, signed.serialization) == (plan.kind, found.serialization)
        same = same and signed.resources == found.resources
    if not same:
        raise UsageError(
            "not-the-same-files",
            f"'{shown(str(first))}' signs other files, or signs them in another options.",
            "Compare them with `modelseal verify`; then sign in the same way, or with --overwrite.",
        )


def _is_same_artifact(first: bundle_format.Bundle, plan: Plan) -> bool:
    if isinstance(first.content, dsse.Envelope):
        return False
    noted, found = first.content, plan.manifest
    by = next((name for name, said in NOTED.items() if said == noted.algorithm), "sha256")
    if by != found.serialization.hash_type:  # another kind of key: the file is read once more
        found = manifest.of_file(plan.path, how=oms.Serialization(hash_type=by)).manifest
    return noted.digest == found.resources[0].digest


def _known(path: Path, bundle: str | Path | None, signed: oms.Manifest, *, overwrite: bool) -> Plan:
    """Return the plan to sign what is known of a model that need not be here."""
    if bundle is None:
        raise UsageError("bad-options", "--manifest needs --bundle: the model may be elsewhere.")
    is_folder = files.exists(path) and files.is_folder(path)
    place = place_of(path, bundle, is_folder=is_folder)
    place.check(overwrite=overwrite)
    _refuse_control_characters(signed)
    _refuse_patterns(signed.ignored)
    return Plan(path, place, signed, "oms", _statement(path, signed))


def _refuse_patterns(ignored: Iterable[str]) -> None:
    """Refuse to record paths to leave out that the specification does not have (spec 6.2.1)."""
    for name in sorted(ignored):
        if _GLOB & set(name):
            raise UsageError(
                "bad-ignored-path",
                f"'{shown(name)}' has a '*', '?' or '[', which no path to leave out may have.",
                "Name each path as it is, or the folder that it is in.",
            )


def _refuse_control_characters(found: oms.Manifest) -> None:
    """Refuse to sign names that act on a terminal; verification reads them.

    Other names that do not print as they are, such as those with a joiner or an ideographic space,
    are somebody's language.
    """
    for resource in found.resources:
        if _CONTROL.search(resource.name):
            raise FormatError(
                "name-not-printable",
                f"The name '{shown(resource.name)}' has a control character.",
                "Rename the file, then sign again.",
            )
