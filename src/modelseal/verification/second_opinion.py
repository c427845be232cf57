# SPDX-License-Identifier: Apache-2.0
"""Verification of a bundle by sigstore-python's verifier, its words turned into our codes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sigstore import dsse
from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult
from sigstore.errors import CertValidationError, Error, VerificationError
from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

from modelseal.errors import FormatError, ModelSealError, Unverified, shown
from modelseal.formats import bundle as bundle_format
from modelseal.formats import rekor
from modelseal.formats.dsse import Envelope
from modelseal.trust.signature import accepted
from modelseal.verification.checks import content, log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate

    from modelseal.trust.anchors import Anchors
    from modelseal.trust.signature import Prehashed
    from modelseal.trust.trust_root import TrustRoot

# What the verifier says (the start of it) -> our code, our sentence.
_REASONS = (
    ("not enough sources of verified time", "no-trusted-time", "No trusted time vouches for it."),
    ("no Timestamp Authorities", "no-trusted-time", "The trust root knows no timestamp authority."),
    ("failed to verify SCT", "sct-invalid", "The certificate was not seen by a trusted CT log."),
    ("Key usage", "certificate-usage", "The certificate is not for signing."),
    ("Extended usage", "certificate-usage", "The certificate is not for signing code."),
    ("invalid log entry", "not-logged", "The entry is not in a trusted transparency log."),
    ("invalid signing cert", "certificate-expired", "The certificate had expired when signing."),
    ("Signature is invalid", "signature-invalid", "The signature does not fit what was signed."),
    ("Bundle message digest", "signature-invalid", "The signature does not fit what was signed."),
    ("DSSE: invalid signature", "signature-invalid", "The signature does not fit the statement."),
)


class _AnySigner:
    """Who signed is reported, not decided, here; the policy decides."""

    def verify(self, cert: Certificate) -> None:
        """Accept any certificate that the trust root vouches for."""


class SecondOpinion:
    """sigstore-python, told to believe one trusted root."""

    def __init__(self, root: TrustRoot, anchors: Anchors) -> None:
        self._source = root.source
        self._anchors = anchors
        try:
            trusted = TrustedRoot(TrustedRootModel.from_json(root.json))
            self._verifier = Verifier(trusted_root=trusted)
        except (ValueError, Error) as error:
            message = f"The trusted root from {shown(root.source)} cannot be used."
            raise FormatError("trust-root", message, shown(str(error))) from error

    def check(
        self, bundle: bundle_format.Bundle, data: bytes, artifact: Prehashed | None
    ) -> datetime:
        """Check that `data`, read as `bundle`, signs its statement or else `artifact`; return when.

        Raises:
            FormatError, Unverified: with what failed.
        """
        if artifact is None:
            payload, time = self._check_statement(bundle, data)
            if not isinstance(bundle.content, Envelope) or payload != bundle.content.payload:
                raise FormatError("bad-bundle", "Two readers disagree on what the bundle holds.")
        elif artifact.algorithm != "sha256":
            raise FormatError(
                "unsupported-digest",
                f"sigstore-python verifies by SHA-256, not by {artifact.algorithm.upper()}.",
                "Use --verifier modelseal.",
            )
        else:
            time = self._check_artifact(data, artifact.digest)
        # sigstore-python looks at the first four bytes of the log's id.
        log.of_entry(bundle.entries[0], self._anchors.logs, self._source)
        return time

    def _check_artifact(self, data: bytes, digest: bytes) -> datetime:
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
        with _translated():
            parsed = _parsed(data)
            time = self._checked_time(parsed)
            self._verifier.verify_artifact(hashed, parsed, _AnySigner())
        return time

    def _check_statement(self, bundle: bundle_format.Bundle, data: bytes) -> tuple[bytes, datetime]:
        with _translated():
            parsed = _parsed(data)
            time = self._checked_time(parsed)
            (entry,) = bundle.entries
            if (entry.kind, entry.version) == rekor.DSSE_V2:
                payload = _verify_dsse_v002(self._verifier, parsed)
                key = accepted(parsed.signing_certificate.public_key())
                signer = content.LoggedBy(key, bundle.certificates[0])
                content.check_body(entry, bundle, content.message_of(bundle, None), signer)
            else:
                _, payload = self._verifier.verify_dsse(parsed, _AnySigner())
        return payload, time

    def _checked_time(self, bundle: Bundle) -> datetime:
        """Return the earliest trusted time, and tell a wrong root from an expired certificate.

        The verifier does all of this again; it would only say "not enough time" for every case.
        """
        certificate, verifier = bundle.signing_certificate, self._verifier
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        at_start = TimestampVerificationResult(TimestampSource.TIMESTAMP_AUTHORITY, start)
        try:
            verifier._verify_chain_at_time(certificate, at_start)  # noqa: SLF001 - see docstring
        except CertValidationError as error:
            raise Unverified(
                "untrusted-certificate",
                f"The certificate does not come from a CA in {shown(self._source)}.",
                "Name the instance that signed: --trusted-root, --trust-config or --instance.",
            ) from error
        times = [found.time for found in verifier._establish_time(bundle)]  # noqa: SLF001 - not public
        if any(not start <= time <= end for time in times):
            raise Unverified(
                "certificate-expired",
                f"The signature was made outside the certificate's validity, {start} to {end}.",
                "Sign again; if this was just signed, check the clock of the instance.",
            )
        if not times:
            raise VerificationError("not enough sources of verified time")
        return min(times)


def _parsed(data: bytes) -> Bundle:
    """Return the bundle in `data`, whose key is of a kind that the verifier can use."""
    bundle = Bundle.from_json(data)
    if not isinstance(bundle.signing_certificate.public_key(), EllipticCurvePublicKey):
        raise FormatError(
            "unsupported-key",
            "The certificate's key is not an elliptic curve key.",
            "Sign with a P-256 key, as every Sigstore client does by default.",
        )
    return bundle


def _verify_dsse_v002(verifier: Verifier, bundle: Bundle) -> bytes:
    """Do what `verify_dsse` does but for the log entry's body, whose kind it does not know."""
    verifier._verify_common_signing_cert(bundle, _AnySigner())  # noqa: SLF001 - see docstring
    envelope = bundle._dsse_envelope  # noqa: SLF001 - not public
    key = bundle.signing_certificate.public_key()
    if envelope is None or not isinstance(key, EllipticCurvePublicKey) or key.key_size != 256:  # noqa: PLR2004 - P-256
        raise VerificationError("the envelope was not signed with a P-256 key")
    return dsse._verify(key, envelope)  # noqa: SLF001 - not public


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ModelSealError:
        raise
    except InvalidSignature as error:
        raise Unverified("signature-invalid", "The signature is not valid.") from error
    except Error as error:
        said = str(error)
        for start, code, message in _REASONS:
            if said.startswith(start):
                raise Unverified(code, message, shown(said)) from error
        if not isinstance(error, VerificationError):
            raise FormatError("bad-bundle", "The bundle is not valid.", shown(said)) from error
        raise Unverified("unverified", f"Not verified: {shown(said)}.") from error
    except Exception as error:  # hostile input meets a library that may crash
        message = "The bundle makes the verifier fail, so it is refused."
        raise FormatError("bad-bundle", message, shown(repr(error))) from error
