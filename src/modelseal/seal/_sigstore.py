# SPDX-License-Identifier: Apache-2.0
"""The one place that knows sigstore-python: keyless signing, and verification by its verifier.

Its private names are used in six places, each for a reason that its public interface gives no way
around; the pinned upper bound of the dependency is what makes that safe.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from requests.adapters import HTTPAdapter
from sigstore import dsse, oidc
from sigstore._internal.timestamp import TimestampSource, TimestampVerificationResult
from sigstore._internal.tuf import DEFAULT_TUF_URL, STAGING_TUF_URL, TrustUpdater
from sigstore.errors import CertValidationError, Error, TUFError, VerificationError
from sigstore.hashes import Hashed
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

from modelseal.errors import (
    FormatError,
    ModelSealError,
    SignInNeeded,
    Undecided,
    Unverified,
    UsageError,
    shown,
)
from modelseal.files import read_bounded
from modelseal.formats import bundle as bundle_format
from modelseal.seal import log_body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path
    from typing import Any

    from cryptography.x509 import Certificate
    from sigstore.sign import Signer

    from modelseal.seal.trust import TrustRoot

logging.getLogger("sigstore").addHandler(logging.NullHandler())

TIMEOUT = 30  # seconds; sigstore-python waits for ever
_CONFIG_LIMIT = 4 * 1024 * 1024  # bytes
_HTTP_ERROR = 400

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


# -- trust ---------------------------------------------------------------------------------------


def cached_root(instance: str | None, *, staging: bool) -> tuple[bytes, str]:
    """Return the trusted root of an instance as last seen by TUF, and its name; no network.

    Raises:
        Undecided: this instance was never trusted on this machine.
    """
    url, name = _tuf_url(instance, staging=staging)
    try:
        updater = TrustUpdater(url, offline=True)
        with open(updater.get_trusted_root_path(), "rb") as file:  # noqa: PTH123 - a str from TUF
            return file.read(_CONFIG_LIMIT), name
    except OSError as error:
        raise _not_trusted(name) from error


def trust_config(
    *, instance: str | None = None, path: Path | None = None, staging: bool = False
) -> ClientTrustConfig:
    """Return the services to sign with; an instance's are fetched through TUF.

    Raises:
        UsageError, FormatError, Undecided: no such file, no trust config, instance unreachable.
    """
    if path is not None:
        raw = read_bounded(path, _CONFIG_LIMIT, "trust config")
        try:
            return ClientTrustConfig.from_json(raw.decode())
        except (ValueError, Error) as error:
            message = f"'{shown(str(path))}' is not a Sigstore client trust config."
            hint = "Make one with: modelseal instance trust-config --data DIR --out FILE"
            raise FormatError("trust-config", message, hint) from error
    url, name = _tuf_url(instance, staging=staging)
    try:
        return ClientTrustConfig.from_tuf(url)
    except TUFError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
            raise _not_trusted(name) from error
        raise Undecided(
            "instance-unreachable",
            f"The trust root of {name} cannot be refreshed: {shown(str(cause or error))}.",
            "Check the URL and the network, or use --trust-config.",
        ) from error


def _tuf_url(instance: str | None, *, staging: bool) -> tuple[str, str]:
    if instance is not None:
        if not instance.startswith(("http://", "https://")):
            message = f"'{shown(instance)}' is not the URL of an instance."
            raise UsageError("bad-url", message, "It starts with http:// or https://.")
        return instance.rstrip("/"), f"the instance {shown(instance)}"
    if staging:
        return STAGING_TUF_URL, "the Sigstore staging instance"
    return DEFAULT_TUF_URL, "the public Sigstore instance"


def _not_trusted(name: str) -> Undecided:
    return Undecided(
        "instance-not-trusted",
        f"This machine does not trust {name} yet.",
        "Get root.json from its operator, then: sigstore --instance URL trust-instance root.json",
    )


# -- identity ------------------------------------------------------------------------------------


def identity_token(raw: str | None, config: ClientTrustConfig) -> oidc.IdentityToken:
    """Return the token to sign in with: `raw`, that of the CI system, or one from the browser.

    Raises:
        SignInNeeded: none can be had, or it is malformed, expired or not yet valid.
    """
    raw = raw or _ambient()
    if raw is not None:
        return _checked_token(raw)
    try:
        return oidc.Issuer(config.signing_config.get_oidc_url()).identity_token()
    except (EOFError, Error, oidc.IssuerError, requests.RequestException) as error:
        raise SignInNeeded(
            "sign-in-needed",
            "Signing needs an identity, and the sign-in did not give one.",
            "Give --identity-token, or run where a browser can open.",
        ) from error


def _ambient() -> str | None:
    try:
        return oidc.detect_credential()
    except Error as error:
        message = f"The CI system's identity cannot be used: {shown(str(error))}."
        raise SignInNeeded(
            "ambient-identity", message, "Grant it the id-token permission."
        ) from error


def _checked_token(raw: str) -> oidc.IdentityToken:
    try:
        return oidc.IdentityToken(raw.strip())
    except Error as error:
        cause = str(error.__cause__ or error)  # never the token itself
        code, why, hint = "token-malformed", "is malformed or lacks claims", "Get a new token."
        if "expired" in cause or "validity period" in cause:
            code, why = "token-expired", "has expired"
        elif "not yet valid" in cause:
            code, why, hint = "token-not-yet-valid", "is not valid yet", "Check the clock."
        elif "ud" in cause and "udience" in cause:
            code, why, hint = (
                "token-audience",
                "is not meant for sigstore",
                "Ask for audience sigstore.",
            )
        raise SignInNeeded(code, f"The identity token {why}.", hint) from error


# -- signing -------------------------------------------------------------------------------------


class _Service(HTTPAdapter):
    """Transport with a timeout whose failures are said in words; nothing is sent twice."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed through
        kwargs["timeout"] = kwargs.get("timeout") or TIMEOUT
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            raise Undecided(
                "instance-unreachable",
                f"The {self._name} at {shown(request.url or '')} does not answer.",
                "Check that the instance is up, then sign again; nothing was written.",
            ) from error
        if response.status_code >= _HTTP_ERROR:
            raise Undecided(
                "instance-refused",
                f"The {self._name} answered {response.status_code}: {_reason(response)}.",
                "Check that the token is fresh and that the clocks agree.",
            )
        return response


def _reason(response: requests.Response) -> str:
    try:
        said = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text or response.reason
    return shown(str(said)).rstrip(".")


class Session:
    """One sign-in: every signature made through it shares the certificate while that is valid."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def artifact(self, digest: bytes) -> bytes:
        """Return the bundle of an artifact with this SHA-256."""
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
        return self._made(lambda: self._signer.sign_artifact(hashed))

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
        return self._made(lambda: self._signer.sign_dsse(dsse.Statement(payload)))

    def _made(self, sign: Callable[[], Bundle]) -> bytes:
        try:
            return sign().to_json().encode()
        except ModelSealError:
            raise
        except oidc.ExpiredIdentity as error:
            raise SignInNeeded(
                "token-expired", "The identity token has expired.", "Get a new token."
            ) from error
        except (Error, requests.RequestException, ValueError, KeyError) as error:
            message = f"Signing failed: {shown(str(error) or type(error).__name__)}."
            raise Undecided("signing-failed", message, "See the log of the instance.") from error


@contextmanager
def session(config: ClientTrustConfig, token: oidc.IdentityToken) -> Iterator[Session]:
    """Give a signing session for `token` with the services of `config`.

    Raises:
        Undecided: `config` names no usable service.
    """
    try:
        context = SigningContext.from_trust_config(config)
    except (Error, ValueError, IndexError) as error:
        message = f"The trust config has no usable signing service: {shown(str(error))}."
        raise Undecided("no-signing-service", message) from error
    sessions = {"certificate authority": context._fulcio.session}  # noqa: SLF001 - set a timeout
    log = getattr(context._rekor, "_session", None)  # noqa: SLF001 - as above
    if isinstance(log, requests.Session):
        sessions["transparency log"] = log
    for tsa in context._tsa_clients:  # noqa: SLF001 - as above
        sessions[f"timestamp authority {tsa.url}"] = tsa._session  # noqa: SLF001 - as above
    for name, http in sessions.items():
        http.mount("http://", _Service(name))
        http.mount("https://", _Service(name))
    with context.signer(token) as signer:
        yield Session(signer)


# -- verification --------------------------------------------------------------------------------


class _AnySigner:
    """Who signed is reported, not decided, here; the policy decides."""

    def verify(self, cert: Certificate) -> None:
        """Accept any certificate that the trust root vouches for."""


def verify_artifact(bundle: bytes, digest: bytes, trust: TrustRoot) -> datetime:
    """Check that `bundle` signs an artifact with the SHA-256 `digest`; return when (UTC).

    Raises:
        FormatError, Unverified: with what failed.
    """
    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)
    with _translated():
        parsed = Bundle.from_json(bundle)
        verifier = _verifier(trust)
        time = _checked_time(verifier, parsed, trust)
        verifier.verify_artifact(hashed, parsed, _AnySigner())
    return time


def verify_statement(bundle: bytes, trust: TrustRoot) -> tuple[bytes, datetime]:
    """Check the DSSE envelope of `bundle`; return its payload and when it was signed (UTC).

    Raises:
        FormatError, Unverified: with what failed.
    """
    with _translated():
        parsed = Bundle.from_json(bundle)
        verifier = _verifier(trust)
        time = _checked_time(verifier, parsed, trust)
        entry = parsed.log_entry._inner.kind_version  # noqa: SLF001 - not public
        if (entry.kind, entry.version) == log_body.DSSE:
            kind, payload = _verify_dsse_v002(verifier, parsed)
            log_body.check_dsse(bundle_format.parse(bundle))
        else:
            kind, payload = verifier.verify_dsse(parsed, _AnySigner())
    if kind != dsse.Envelope._TYPE:  # noqa: SLF001 - the in-toto media type
        raise FormatError("payload-type", "The signed envelope does not hold an in-toto statement.")
    return payload, time


def _verify_dsse_v002(verifier: Verifier, bundle: Bundle) -> tuple[str, bytes]:
    """Do what `verify_dsse` does but for the log entry's body, whose kind it does not know."""
    verifier._verify_common_signing_cert(bundle, _AnySigner())  # noqa: SLF001 - see docstring
    envelope = bundle._dsse_envelope  # noqa: SLF001 - not public
    key = bundle.signing_certificate.public_key()
    if envelope is None or not isinstance(key, EllipticCurvePublicKey) or key.key_size != 256:  # noqa: PLR2004 - P-256
        raise VerificationError("the envelope was not signed with a P-256 key")
    payload = dsse._verify(key, envelope)  # noqa: SLF001 - not public
    return envelope._inner.payload_type, payload  # noqa: SLF001 - not public


@lru_cache(maxsize=8)
def _verifier(trust: TrustRoot) -> Verifier:
    try:
        return Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(trust.json)))
    except (ValueError, Error) as error:
        message = f"The trusted root from {shown(trust.source)} cannot be used."
        raise FormatError("trust-root", message, shown(str(error))) from error


def _checked_time(verifier: Verifier, bundle: Bundle, trust: TrustRoot) -> datetime:
    """Return the earliest trusted time, having told a wrong trust root from an expired certificate.

    The verifier does all of this again; it would only say "not enough time" for every case.
    """
    certificate = bundle.signing_certificate
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    at_start = TimestampVerificationResult(TimestampSource.TIMESTAMP_AUTHORITY, start)
    try:
        verifier._verify_chain_at_time(certificate, at_start)  # noqa: SLF001 - see docstring
    except CertValidationError as error:
        raise Unverified(
            "untrusted-certificate",
            f"The certificate does not come from a CA in {shown(trust.source)}.",
            "Check that this is the trust root of the instance that signed.",
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
