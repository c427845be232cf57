# SPDX-License-Identifier: Apache-2.0
"""Sign models: hash first, sign in once, write each bundle whole."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from modelseal import files
from modelseal.errors import FormatError, UsageError, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import dsse, intoto, oms
from modelseal.formats.strict import b64encode
from modelseal.model import manifest
from modelseal.model.manifest import BUNDLE_NAME
from modelseal.seal import identity, trust
from modelseal.seal.find import FILE_SUFFIX, OLD_FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.model.hashing import Progress
    from modelseal.seal._sigstore.signing import Session
    from modelseal.seal.authenticate import Kind


@dataclass(frozen=True)
class Signed:
    """A model that was signed: where its bundle is, by whom, and its index in the log."""

    path: Path
    bundle: Path
    kind: Kind
    signer: identity.Identity
    log_index: int
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
            ("log index", str(self.log_index)),
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
    is_folder: bool


def sign(
    path: str | Path,
    *,
    identity_token: str | None = None,
    instance: str | None = None,
    trust_config: str | Path | None = None,
    bundle: str | Path | None = None,
    overwrite: bool = False,
) -> Signed:
    """Sign the model at `path` (a file or a folder) and return where its bundle is.

    A file gets a plain artifact signature beside it, FILE.sigstore.json; a folder an OMS signature
    inside it, model.sig. Without `identity_token` the identity is that of the CI system, or the
    browser opens. Without `instance` or `trust_config` the public Sigstore instance signs, which
    publishes the identity for ever.

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
) -> list[Signed]:
    """Sign several models with one sign-in; otherwise as `sign`.

    `legacy_files` also writes FILE.sig, FILE.crt and FILE.sigstore, as older clients did.

    Raises:
        UsageError, FormatError, Undecided, SignInNeeded: models before the failing one are signed.
    """
    trust.only_one(instance, trust_config, staging or None)
    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    plans = [_planned(Path(p), bundle, overwrite=overwrite, progress=progress) for p in paths]
    from modelseal.seal._sigstore import roots, signing  # noqa: PLC0415 - 400 ms

    config = roots.trust_config(
        instance=instance, path=Path(trust_config) if trust_config else None, staging=staging
    )
    token = signing.identity_token(identity_token, config)
    with signing.session(config, token) as session:
        made = []
        for plan in plans:
            data = _signed(plan, session)
            files.write_atomic(plan.bundle, data, overwrite=overwrite)
            if legacy_files and not plan.is_folder:
                _write_legacy(plan, data, overwrite=overwrite)
            made.append(_described(plan, data))
    return made


def _planned(
    path: Path, bundle: str | Path | None, *, overwrite: bool, progress: Progress | None
) -> _Plan:
    """Return what to sign, refusing early what would fail after the sign-in."""
    is_folder = files.is_folder(path)
    if bundle is not None:
        target = Path(bundle)
    elif is_folder:
        target = path / BUNDLE_NAME
    else:
        target = path.with_name(path.name + FILE_SUFFIX)
    if files.there(target) and not overwrite:
        raise files.exists(target)
    if is_folder:
        found = manifest.of_folder(path, _ignored(path, target), progress)
    else:
        found = manifest.of_file(path, progress)
        if path.stat().st_size == 0:
            raise FormatError(
                "empty-file",
                f"'{shown(str(path))}' is empty.",
                "Check that the model was saved; a signature of nothing means nothing.",
            )
    _refuse_control_characters(found)
    return _Plan(path, target, found, is_folder)


def _ignored(folder: Path, bundle: Path) -> frozenset[str]:
    """Return the names not to sign: the defaults, and the bundle if it lies in the folder."""
    inside = bundle.resolve()
    if inside.is_relative_to(folder.resolve()):
        name = inside.relative_to(folder.resolve()).as_posix()
        return manifest.DEFAULT_IGNORED | {name}
    return manifest.DEFAULT_IGNORED


def _refuse_control_characters(found: oms.Manifest) -> None:
    """Refuse to sign names that no tool prints as they are; verification reads them."""
    for resource in found.resources:
        if not resource.name.isprintable():
            raise FormatError(
                "name-not-printable",
                f"The name '{shown(resource.name)}' has a control character.",
                "Rename the file, then sign again.",
            )


def _signed(plan: _Plan, session: Session) -> bytes:
    if not plan.is_folder:
        return session.artifact(plan.manifest.resources[0].digest)
    statement = oms.to_statement(plan.manifest, plan.path.resolve().name or "model")
    return session.statement(intoto.to_bytes(statement))


def _write_legacy(plan: _Plan, data: bytes, *, overwrite: bool) -> None:
    """Write what sigstore-python 1 to 2 wrote: base64 signature, PEM certificate, bundle."""
    parsed = bundle_format.parse(data)
    if isinstance(parsed.content, dsse.Envelope):
        raise FormatError("not-an-artifact", "Legacy files exist for plain artifacts only.")
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
        kind="oms" if plan.is_folder else "artifact",
        signer=identity.of_certificate(parsed.certificates[0]),
        log_index=parsed.entries[0].log_index,
        files=len(plan.manifest.resources),
    )
