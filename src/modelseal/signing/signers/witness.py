# SPDX-License-Identifier: Apache-2.0
"""Witnesses of a signature by key: timestamp authorities, and then a transparency log.

Their answers are checked as whoever verifies will check them, before a bundle is written. The log
comes last: what it took, it keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519

from modelseal import files
from modelseal.errors import FormatError, ModelSealError, Undecided, Unverified
from modelseal.trust import trust_root
from modelseal.verification.checks import content
from modelseal.verification.checks.timestamps import TimestampChecker
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from modelseal.formats.bundle import Bundle
    from modelseal.signing._sigstore.witnesses import Services
    from modelseal.trust.choice import Trust
    from modelseal.trust.signature import Prehashed, PublicKey
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.checks.content import LoggedBy


@dataclass(frozen=True)
class Witness:
    """The `services` that see signatures: the log, timestamp authorities, or both."""

    services: Services
    trust: TrustRoot  # what the answers are checked with
    logs: bool
    stamps: bool

    def check(self, key: PublicKey) -> None:
        """Check, before anything is public, that signatures by `key` can be seen.

        Raises:
            FormatError: the log has no entries for this kind of key ("unsupported-key").
        """
        if self.logs:
            _check_loggable(key)

    def seen(self, bundle: Bundle, message: bytes | Prehashed, signer: LoggedBy) -> Bundle:
        """Return `bundle`, which `signer` signed over `message`, with what the witnesses say.

        Raises:
            FormatError: the log has no entries for this kind of key ("unsupported-key").
            Undecided: a witness is not there, refuses, or says what does not verify.
        """
        self.check(signer.key)
        content.check_content(bundle, message, signer.key)
        if self.stamps:
            signed = content.signature_of(bundle)
            bundle = bundle._replace(timestamps=self.services.timestamps(signed))
            for one in bundle.timestamps:  # one that is good must not hide another that is not
                check_timestamp(one, signed, Verifier(self.trust))
        if self.logs:
            entry = self.services.entry(bundle, message, signer)
            bundle = bundle._replace(entries=(entry,))
            self._check_entry(bundle, message, signer)
        return bundle

    def _check_entry(self, bundle: Bundle, message: bytes | Prehashed, signer: LoggedBy) -> None:
        try:
            for entry in bundle.entries:
                content.check_body(entry, bundle, message, signer)
            if Verifier(self.trust).evidence(bundle).check_logged() is None:
                raise FormatError("trust-root", "The trusted root names no transparency log.")
        except ModelSealError as error:
            raise wrong("The transparency log's answer does not verify", error) from error


def check_timestamp(raw: bytes, signed: bytes, verifier: Verifier) -> None:
    """Check a timestamp of the signature `signed` as whoever verifies will, before it is logged.

    Raises:
        Undecided: it is not good, or by an authority that the root does not name ("witness-wrong").
    """
    what = "A timestamp authority's answer does not verify"
    try:
        known = TimestampChecker(verifier.anchors.timestamp_authorities).check((raw,), signed)
        if not known.times:
            stranger = "The trusted root does not name the authority."
            raise Unverified("no-trusted-time", stranger)
    except ModelSealError as error:
        raise wrong(what, error) from error


def of_instance(trust: Trust, *, logs: bool, stamps: bool) -> Witness:
    """Return the witnesses among the services of `trust`.

    Raises:
        UsageError, FormatError, Undecided: more than one is named, no such file, unreachable.
    """
    path = trust.services_file()
    from modelseal.signing._sigstore import witnesses  # noqa: PLC0415 - sigstore-python takes 400 ms to import
    from modelseal.trust import _sigstore as roots  # noqa: PLC0415 - sigstore-python takes 400 ms to import

    if path is not None:
        data = files.read_trusted(path, trust_root.LIMIT, "trust config")  # once: a pipe
        config = roots.in_trust_config(data, str(path))
        root = trust_root.in_trust_config(data, str(path))
    else:
        config = roots.services(trust)  # fills the cache
        root = trust.resolve()
    return Witness(witnesses.Services(config), root, logs, stamps)


def _check_loggable(key: PublicKey) -> None:
    """Refuse Ed25519: a log knows only digests, and no client verifies Ed25519ph by a key."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        raise FormatError(
            "unsupported-key",
            "A transparency log takes digests, which an Ed25519 key does not sign.",
            "Leave out --log, or sign with an ECDSA or RSA key.",
        )


def wrong(what: str, error: ModelSealError) -> Undecided:
    """Return the refusal of an answer that does not verify."""
    return Undecided(
        "witness-wrong",
        f"{what}: {error.message}",
        "Nothing was written. Tell who runs the instance; its trust config may be of another time.",
    )
