# SPDX-License-Identifier: Apache-2.0
"""Sign models: hash first, sign in once, write each bundle whole."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
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
from modelseal.model.bundles import OLD_FILE_SUFFIX
from modelseal.model.scope import check_ignored
from modelseal.signing.plan import Way
from modelseal.signing.plan import make as make_plan
from modelseal.trust import fulcio
from modelseal.trust import signer as who
from modelseal.trust.choice import only_one

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from modelseal.model.hashing import Progress
    from modelseal.signing.plan import Plan
    from modelseal.signing.signers import Signer
    from modelseal.verification.authentic import Kind


@dataclass(frozen=True)
class Signed:
    """A model that was signed: where its bundle is, by whom, and its index in the log if logged."""

    path: Path
    bundle: Path
    kind: Kind
    signer: who.Signer
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
    only_one(instance, trust_config, staging or None)
    if bundle is not None and len(paths) != 1:
        raise UsageError("one-bundle", "--bundle names the bundle of one model, not of several.")
    way = way or Way()
    check_ignored([Path(path) for path in paths], way.ignored)
    overwrite = overwrite or way.update
    by = "sha256" if signer is None else signer.artifact_hash
    plans = [
        make_plan(Path(p), bundle, way, by, overwrite=overwrite, progress=progress) for p in paths
    ]
    config = Path(trust_config) if trust_config else None
    with (
        _keyless(identity_token, instance, config, staging=staging)
        if signer is None
        else nullcontext(signer)
    ) as session:
        made = []
        for one in plans:
            data = _signed(one, session)
            files.write_atomic(one.bundle, data, overwrite=overwrite)
            if legacy_files and one.kind == "artifact":
                _write_legacy(one, data, overwrite=overwrite)
            made.append(_described(one, data))
    return made


@contextmanager
def _keyless(
    raw_token: str | None, instance: str | None, trust_config: Path | None, *, staging: bool
) -> Iterator[Signer]:
    """Give a signer that is signed in."""
    from modelseal.signing._sigstore import signing  # noqa: PLC0415 - 400 ms
    from modelseal.trust import _sigstore as roots  # noqa: PLC0415 - 400 ms

    config = roots.trust_config(instance=instance, path=trust_config, staging=staging)
    token = signing.identity_token(raw_token, config)
    with signing.session(config, token) as session:
        yield session


def _signed(plan: Plan, session: Signer) -> bytes:
    if plan.kind == "artifact":
        return session.artifact(plan.artifact)
    statement = oms.to_statement(plan.manifest, plan.path.resolve().name or "model")
    return session.statement(intoto.to_bytes(statement))


def _write_legacy(plan: Plan, data: bytes, *, overwrite: bool) -> None:
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


def _described(plan: Plan, data: bytes) -> Signed:
    parsed = bundle_format.parse(data)
    return Signed(
        path=plan.path,
        bundle=plan.bundle,
        kind=plan.kind,
        signer=_signer(parsed),
        log_index=parsed.entries[0].log_index if parsed.entries else None,
        files=len(plan.manifest.file_names()),
    )


def _signer(bundle: bundle_format.Bundle) -> who.Signer:
    if not bundle.certificates:
        return who.Signer(f"sha256:{bundle.key_hint}", "public key", kind="key")
    if not bundle.chained:
        return fulcio.of_certificate(bundle.certificates[0])
    leaf = load_der_x509_certificate(bundle.certificates[0])
    return who.Signer(leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string())
