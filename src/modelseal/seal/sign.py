# SPDX-License-Identifier: Apache-2.0
"""Sign models: hash first, sign in once, write each bundle whole."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from modelseal import files
from modelseal.errors import FormatError, ModelSealError, UsageError, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.formats.strict import b64encode
from modelseal.model import manifest, stat_cache
from modelseal.model.manifest import BUNDLE_NAME, BUNDLE_NAMES, within
from modelseal.seal import fulcio, identity, managed, trust
from modelseal.seal.find import FILE_SUFFIX, OLD_FILE_SUFFIX, next_bundle
from modelseal.seal.signers import NOTED, WHOLE_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from modelseal.model.hashing import Progress
    from modelseal.model.stat_cache import StatCache
    from modelseal.seal.authenticate import Kind
    from modelseal.seal.signers import Signer
    from modelseal.seal.verify.signature import HashName


_GLOB = frozenset("*?[")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Signed:
    """A model that was signed: where its bundle is, by whom, and its index in the log if logged."""

    path: Path
    bundle: Path
    kind: Kind
    signer: identity.Identity
    log_index: int | None
    files: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the same that the command line prints."""
        return {
            "model": str(self.path),
            "bundle": str(self.bundle),
            "kind": self.kind,
            "signer": {"identity": self.signer.subject, "issuer": self.signer.issuer},
            "log_index": self.log_index,
            "files": self.files,
        }

    def _repr_html_(self) -> str:
        rows = (
            ("model", f"{self.path} ({self.files} file{'s' if self.files > 1 else ''})"),
            ("signed by", str(self.signer)),
            ("log index", "not logged" if self.log_index is None else str(self.log_index)),
            ("bundle", str(self.bundle)),
        )
        cells = "".join(
            f"<tr><th>{name}</th><td><code>{escape(shown(value, 500))}</code></td></tr>"
            for name, value in rows
        )
        return f"<table>{cells}</table>"


@dataclass(frozen=True)
class _Plan:
    path: Path
    bundle: Path
    manifest: oms.Manifest
    kind: Kind
    artifact: bytes = b""  # what the signer of an artifact wants: its digest, or all of it


@dataclass(frozen=True)
class Way:
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


def sign(
    path: str | Path,
    *,
    identity_token: str | None = None,
    instance: str | None = None,
    trust_config: str | Path | None = None,
    bundle: str | Path | None = None,
    overwrite: bool = False,
    add: bool = False,
) -> Signed:
    """Sign the model at `path` (a file or a folder) and return where its bundle is.

    A file gets a plain artifact signature beside it, FILE.sigstore.json; a folder an OMS signature
    inside it, model.sig. Without `identity_token` the identity is that of the CI system, or the
    browser opens. Without `instance` or `trust_config` the public Sigstore instance signs, which
    publishes the identity for ever. With `add` the signature joins those that are there.

    Raises:
        UsageError, FormatError, Undecided, SignInNeeded: nothing was written.
    """
    made = sign_all(
        [path],
        identity_token=identity_token,
        instance=instance,
        trust_config=trust_config,
        bundle=bundle,
        overwrite=overwrite,
        way=Way(add=add),
    )
    return made[0]


def sign_all(
    paths: Sequence[str | Path],
    *,
    identity_token: str | None = None,
    instance: str | None = None,
    trust_config: str | Path | None = None,
    staging: bool = False,
    bundle: str | Path | None = None,
    overwrite: bool = False,
    legacy_files: bool = False,
    progress: Progress | None = None,
    signer: Signer | None = None,
    way: Way | None = None,
) -> list[Signed]:
    """Sign several models with one sign-in, or with `signer` and none; otherwise as `sign`.

    `legacy_files` also writes FILE.sig, FILE.crt and FILE.sigstore, as older clients did.

    Raises:
        UsageError, FormatError, Undecided, SignInNeeded: models before the failing one are signed.
    """
    trust.only_one(instance, trust_config, staging or None)
    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    way = way or Way()
    overwrite = overwrite or way.update
    by = "sha256" if signer is None else signer.artifact_hash
    plans = [
        _planned(Path(p), bundle, way, by, overwrite=overwrite, progress=progress) for p in paths
    ]
    config = Path(trust_config) if trust_config else None
    with (
        _keyless(identity_token, instance, config, staging=staging)
        if signer is None
        else nullcontext(signer)
    ) as session:
        made = []
        for plan in plans:
            data = _signed(plan, session)
            files.write_atomic(plan.bundle, data, overwrite=overwrite)
            if legacy_files and plan.kind == "artifact":
                _write_legacy(plan, data, overwrite=overwrite)
            made.append(_described(plan, data))
    return made


@contextmanager
def _keyless(
    raw_token: str | None, instance: str | None, trust_config: Path | None, *, staging: bool
) -> Iterator[Signer]:
    """Give a signer that is signed in."""
    from modelseal.seal._sigstore import roots, signing  # noqa: PLC0415 - 400 ms

    config = roots.trust_config(instance=instance, path=trust_config, staging=staging)
    token = signing.identity_token(raw_token, config)
    with signing.session(config, token) as session:
        yield session


def _planned(
    path: Path,
    bundle: str | Path | None,
    way: Way,
    artifact_hash: HashName | None,
    *,
    overwrite: bool,
    progress: Progress | None,
) -> _Plan:
    """Return what to sign, refusing early what would fail after the sign-in."""
    if way.known is not None:
        return _known(path, bundle, way.known, overwrite=overwrite)
    is_folder = files.is_folder(path)
    target = first = _first_bundle(path, bundle, is_folder=is_folder)
    if way.add:
        target = next_bundle(first)
    if files.there(target) and not overwrite:
        raise files.exists(target)
    cache = _notes(path, target, folder=is_folder) if way.update else None
    artifact = b""
    if is_folder:
        others = (path / name for name in BUNDLE_NAMES)
        ignored = within(path, (target, *way.ignored, *filter(files.there, others)))
        _refuse_patterns(ignored)
        found = manifest.of_folder(path, ignored, progress, way.serialization, cache)
    elif way.files_as_models:
        found = manifest.of_file(path, progress, way.serialization, cache)
    else:
        artifact, found = _artifact(path, artifact_hash, progress, cache)
    _refuse_control_characters(found)
    if cache is not None:
        cache.save()
    kind: Kind = "oms" if is_folder or way.files_as_models else "artifact"
    plan = _Plan(path, target, found, kind, artifact)
    if target != first:
        _check_same(first, plan)
    return plan


def _notes(path: Path, bundle: Path, *, folder: bool) -> stat_cache.StatCache:
    """Return what is known of the model and what the `bundle` that is to be replaced claims too.

    Whoever signed that: a wrong claim agrees with nothing that was hashed here, so more is read.
    """
    signed: oms.Manifest | None = None
    try:
        parsed = bundle_format.parse(files.read_bounded(bundle, bundle_format.LIMIT, "bundle"))
        signed = managed.signed(parsed)[1]
    except ModelSealError:
        pass  # none, or none that can be read: all is read
    if signed is not None and not folder:
        signed = manifest.renamed(signed, path.name)
    return stat_cache.load(path).agreeing(signed)


def _first_bundle(path: Path, bundle: str | Path | None, *, is_folder: bool) -> Path:
    if bundle is not None:
        return Path(bundle)
    return path / BUNDLE_NAME if is_folder else path.with_name(path.name + FILE_SUFFIX)


def _artifact(
    path: Path, by: HashName | None, progress: Progress | None, cache: StatCache | None
) -> tuple[bytes, oms.Manifest]:
    """Return what the signer of the file wants, read once, and the file's manifest.

    Raises:
        FormatError: empty ("empty-file"), or too large to be signed whole ("too-large"). Otherwise
            as `of_file`.
    """
    if by is None:
        artifact = _whole(path)
        found = oms.Manifest((oms.Resource(path.name, hashlib.sha256(artifact).digest()),))
    else:
        found = manifest.of_file(path, progress, oms.Serialization(hash_type=by), cache)
        artifact = found.resources[0].digest
    if path.stat().st_size == 0:
        raise FormatError(
            "empty-file",
            f"'{shown(str(path))}' is empty.",
            "Check that the model was saved; a signature of nothing means nothing.",
        )
    return artifact, found


def _whole(path: Path) -> bytes:
    if path.lstat().st_size > WHOLE_LIMIT:
        raise FormatError(
            "too-large",
            f"'{shown(str(path))}' is larger than the {WHOLE_LIMIT >> 20} MiB that an Ed25519 key "
            "signs: all of it must be in memory.",
            "Sign with an ECDSA or RSA key: they sign a digest.",
        )
    return files.read_bounded(path, WHOLE_LIMIT, "file")


def _check_same(first: Path, plan: _Plan) -> None:
    """Check that the bundle `first` claims to sign just what is in `plan`.

    Raises:
        UsageError: it does not, so the two signatures would never count together.
    """
    parsed = bundle_format.parse(files.read_bounded(first, bundle_format.LIMIT, "bundle"))
    found = plan.manifest
    if plan.kind == "artifact":  # whose name is not signed
        same = _is_same_artifact(parsed, plan)
    else:
        signs, signed = managed.signed(parsed)
        same = (signs, signed.serialization) == (plan.kind, found.serialization)
        same = same and signed.resources == found.resources
    if not same:
        raise UsageError(
            "not-the-same-files",
            f"'{shown(str(first))}' signs other files, or signs them in another way.",
            "Compare them with `modelseal verify`; then sign in the same way, or with --overwrite.",
        )


def _is_same_artifact(first: bundle_format.Bundle, plan: _Plan) -> bool:
    if isinstance(first.content, dsse.Envelope):
        return False
    noted, found = first.content, plan.manifest
    by = next((name for name, said in NOTED.items() if said == noted.algorithm), "sha256")
    if by != found.serialization.hash_type:  # another kind of key: the file is read once more
        found = manifest.of_file(plan.path, how=oms.Serialization(hash_type=by))
    return noted.digest == found.resources[0].digest


def _known(
    path: Path, bundle: str | Path | None, signed: oms.Manifest, *, overwrite: bool
) -> _Plan:
    """Return the plan to sign what is known of a model that need not be here."""
    if bundle is None:
        raise UsageError("bad-options", "--manifest needs --bundle: the model may be elsewhere.")
    if files.there(Path(bundle)) and not overwrite:
        raise files.exists(Path(bundle))
    _refuse_control_characters(signed)
    _refuse_patterns(signed.ignored)
    return _Plan(path, Path(bundle), signed, "oms")


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


def _signed(plan: _Plan, session: Signer) -> bytes:
    if plan.kind == "artifact":
        return session.artifact(plan.artifact)
    statement = oms.to_statement(plan.manifest, plan.path.resolve().name or "model")
    return session.statement(intoto.to_bytes(statement))


def _write_legacy(plan: _Plan, data: bytes, *, overwrite: bool) -> None:
    """Write what sigstore-python 1 to 2 wrote: base64 signature, PEM certificate, bundle."""
    parsed = bundle_format.parse(data)
    if isinstance(parsed.content, dsse.Envelope):
        raise FormatError("not-an-artifact", "Legacy files exist for plain artifacts only.")
    if not parsed.certificates:
        raise UsageError("bad-options", "--legacy-files have a certificate, a key has none.")
    certificate = load_der_x509_certificate(parsed.certificates[0])
    for suffix, content in (
        (".sig", b64encode(parsed.content.signature).encode()),
        (".crt", certificate.public_bytes(Encoding.PEM)),
        (OLD_FILE_SUFFIX, data),
    ):
        target = plan.path.with_name(plan.path.name + suffix)
        files.write_atomic(target, content, overwrite=overwrite)


def _described(plan: _Plan, data: bytes) -> Signed:
    parsed = bundle_format.parse(data)
    return Signed(
        path=plan.path,
        bundle=plan.bundle,
        kind=plan.kind,
        signer=_signer(parsed),
        log_index=parsed.entries[0].log_index if parsed.entries else None,
        files=len(plan.manifest.file_names()),
    )


def _signer(bundle: bundle_format.Bundle) -> identity.Identity:
    if not bundle.certificates:
        return identity.Identity(f"sha256:{bundle.key_hint}", "public key")
    if not bundle.chained:
        return fulcio.of_certificate(bundle.certificates[0])
    leaf = load_der_x509_certificate(bundle.certificates[0])
    return identity.Identity(leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string())
