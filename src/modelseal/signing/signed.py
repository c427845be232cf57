# SPDX-License-Identifier: Apache-2.0
"""What was signed: where the bundle is, by whom, when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.x509 import load_der_x509_certificate

from modelseal.formats import timestamp
from modelseal.model.diff import listed
from modelseal.trust import fulcio
from modelseal.trust import signer as who
from modelseal.verification.checks import timestamps

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from modelseal.formats.bundle import Bundle
    from modelseal.verification.authentic import Kind


@dataclass(frozen=True)
class Signed:
    """A model that was signed: where its bundle is, by whom, and its index in the log if logged.

    `time` (UTC) is when a timestamp authority or the log saw the signature, None if none did.
    `pointers` are files that are Git LFS pointers: their contents were not signed.
    """

    path: Path
    bundle: Path
    kind: Kind
    signer: who.Signer
    time: datetime | None
    log_index: int | None
    files: int
    pointers: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what is probably not as the signer meant it."""
        if not self.pointers:
            return ()
        what = f"{listed(self.pointers)}: a Git LFS pointer was signed, not the content."
        return (f"{what} Run `git lfs pull`, then sign again.",)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the same that the command line prints."""
        return {
            "model": str(self.path),
            "bundle": str(self.bundle),
            "kind": self.kind,
            "signer": {
                "kind": self.signer.kind,
                "identity": self.signer.subject,
                "issuer": self.signer.issuer,
            },
            "time": self.time and self.time.isoformat(),
            "log_index": self.log_index,
            "files": self.files,
            "warnings": list(self.warnings),
        }

    def _repr_html_(self) -> str:
        from modelseal import notebook  # noqa: PLC0415 - 2 ms that only notebooks need

        when = "not witnessed" if self.time is None else f"{self.time:%Y-%m-%d %H:%M:%S} UTC"
        rows = (
            ("files", str(self.files)),
            ("signed by", str(self.signer)),
            ("signed at", when),
            ("log index", "not logged" if self.log_index is None else str(self.log_index)),
            ("bundle", str(self.bundle)),
            *(("warning", warning) for warning in self.warnings),
        )
        table = notebook.table((name, notebook.code(value)) for name, value in rows)
        return notebook.panel("green", "SIGNED", str(self.path), table)


def signer_of(bundle: Bundle) -> who.Signer:
    """Return who signed `bundle`, which was just made and so need not be verified."""
    if not bundle.certificates:
        return who.Signer(f"sha256:{bundle.key_hint}", "public key", kind="key")
    if not bundle.chained:
        return fulcio.of_certificate(bundle.certificates[0])
    leaf = load_der_x509_certificate(bundle.certificates[0])
    subject, issuer = leaf.subject.rfc4514_string(), leaf.issuer.rfc4514_string()
    return who.Signer(subject, issuer, kind="certificate")


def time_of(bundle: Bundle) -> datetime | None:
    """Return when `bundle` was signed, as it says; what has just been made is believed."""
    stamped = [timestamp.parse(raw).info.time for raw in bundle.timestamps]
    logged = [timestamps.integrated(entry) for entry in bundle.entries]
    return min((time for time in (*stamped, *logged) if time is not None), default=None)
