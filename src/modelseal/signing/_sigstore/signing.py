# SPDX-License-Identifier: Apache-2.0
"""Keyless signing: who signs in, and the bundles made in that sign-in."""

from __future__ import annotations

import json
import os
import sys
import time
from base64 import urlsafe_b64decode
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from sigstore import dsse, oidc
from sigstore._internal.fulcio import ExpiredCertificate
from sigstore._internal.timestamp import TimestampError
from sigstore.errors import Error
from sigstore.hashes import Hashed
from sigstore.sign import SigningContext
from sigstore_models.common.v1 import HashAlgorithm
from urllib3.exceptions import HTTPError

from modelseal import files
from modelseal.arguments import check_not_empty
from modelseal.errors import ModelSealError, SignInNeeded, Undecided, shown
from modelseal.formats import bundle as bundle_format
from modelseal.signing._sigstore import transport, witnesses
from modelseal.signing.signers import witness
from modelseal.trust import trust_root
from modelseal.trust.signature import Prehashed
from modelseal.verification.believed import Believed
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Literal

    from rfc3161_client import TimeStampResponse
    from sigstore._internal.timestamp import TimestampAuthorityClient
    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.sign import Signer

    from modelseal.verification.authentic import Kind

_VARIABLE = "SIGSTORE_ID_TOKEN"  # GitLab's way, and that of other clients everywhere
TOKEN_FILE = Path("/var/run/sigstore/cosign/oidc-token")
_TOKEN_LIMIT = 64 * 1024  # bytes
_PATIENCE = 10  # seconds until a token becomes valid that are waited for


def identity_token(raw: str | None, config: ClientTrustConfig) -> oidc.IdentityToken:
    """Return the token to sign in with: `raw`, the one at hand here, or one from the browser.

    Raises:
        UsageError: what was given is empty ("empty-value").
        SignInNeeded: none can be had, or it is malformed, expired or not yet valid.
        FormatError, Undecided: the file with the token cannot be read.
    """
    if raw is None:
        raw = _ambient()
    if raw is not None:
        raw = raw.strip()
        check_not_empty("the identity token", raw)
        return _checked_token(raw)
    try:
        with redirect_stdout(sys.stderr):  # the question for a code is no part of the answer
            return oidc.Issuer(config.signing_config.get_oidc_url()).identity_token()
    except (Error, oidc.IssuerError, OSError, EOFError, RuntimeError) as error:
        # The last three are what asking for a code says where there is no terminal to ask at.
        raise _known_reason(error) or SignInNeeded(
            "sign-in-needed",
            "Signing needs an identity, and the sign-in did not give one.",
            "Give --identity-token, or run where a browser can open.",
        ) from error


def _ambient() -> str | None:
    """Return the token that was put here for Sigstore clients, or that of the CI system or cloud.

    What somebody put here on purpose comes before what the machine happens to offer, also when it
    is empty: else the wrong identity would sign.
    """
    placed = os.environ.get(_VARIABLE)
    if placed is not None:
        check_not_empty(_VARIABLE, placed.strip())
        return placed
    if files.exists(TOKEN_FILE):
        # Kubernetes renews it there; other clients look there too.
        data = files.read_trusted(TOKEN_FILE, _TOKEN_LIMIT, "identity token")
        check_not_empty(f"'{TOKEN_FILE}'", data.strip())
        return data.decode(errors="replace")
    try:
        return oidc.detect_credential()
    except (Error, ValueError, HTTPError) as error:
        raise SignInNeeded(
            "ambient-identity",
            f"The identity that this system offers cannot be used: {shown(str(error))}.",
            "On GitHub grant the job the permission id-token: write; on GitLab declare "
            f"{_VARIABLE} under id_tokens; or give --identity-token.",
        ) from error


def _checked_token(raw: str) -> oidc.IdentityToken:
    _wait_for(_start(raw))
    try:
        return oidc.IdentityToken(raw)
    except (Error, TypeError) as error:  # TypeError: times that are not numbers
        raise _known_reason(error) or SignInNeeded(
            "token-malformed",
            "The identity token is malformed or lacks claims.",
            "Get a new token.",
        ) from error


def _start(raw: str) -> float:
    """Return when the token says that it becomes valid (RFC 7519 section 4.1), 0 if it does not."""
    try:
        payload = raw.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        times = [claims[name] for name in ("nbf", "iat") if name in claims]
        return max((float(one) for one in times), default=0.0)
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return 0.0  # malformed, which is found next


def _wait_for(start: float) -> None:
    """Wait for a token that is about to become valid: clocks differ by some seconds.

    Raises:
        SignInNeeded: it would take too long ("token-not-yet-valid").
    """
    while (wait := start - time.time()) > 0:
        if not wait <= _PATIENCE:
            raise _not_yet_valid(f", but in {wait:,.0f} seconds")
        time.sleep(wait)


def _known_reason(error: Exception) -> SignInNeeded | None:
    """Return what the library's `error` about a token means; None if nobody can tell."""
    cause = str(error.__cause__ or "")  # never the token itself
    if "not yet valid" in cause:
        return _not_yet_valid()
    if "expired" in cause or "validity period" in str(error):
        return SignInNeeded("token-expired", "The identity token has expired.", "Get a new token.")
    if "udience" in cause:
        message = "The identity token is not meant for sigstore."
        return SignInNeeded("token-audience", message, "Ask for audience sigstore.")
    return None


def _not_yet_valid(when: str = "") -> SignInNeeded:
    return SignInNeeded(
        "token-not-yet-valid",
        f"The identity token is not valid yet{when}.",
        "Check the clock of this machine, and of whoever issued the token.",
    )


class Session:
    """One sign-in: every signature made through it shares the certificate while that is valid."""

    def __init__(self, certify: Callable[[], Signer], verifier: Verifier) -> None:
        """Ask for a certificate.

        Raises:
            SignInNeeded, Undecided: there is none, or none that the trusted root vouches for.
        """
        self._certify, self._verifier = certify, verifier
        with transport.translated():
            self._signer = certify()

    def check(self, kinds: Iterable[Kind], *, certificate: bool = False) -> None:
        """Check nothing: a sign-in signs every kind of model, and has a certificate."""

    @property
    def artifact_hash(self) -> Literal["sha256"]:
        """Return the hash by which an artifact is signed: the keys of sign-ins are P-256."""
        return "sha256"

    def artifact(self, signed: bytes) -> bytes:
        """Return the bundle of an artifact with this SHA-256."""
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=signed)
        artifact = Prehashed("sha256", signed)
        return self._checked(lambda: self._signer.sign_artifact(hashed), artifact)

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
        return self._checked(lambda: self._signer.sign_dsse(dsse.Statement(payload)), None)

    def _checked(self, sign: Callable[[], Bundle], artifact: Prehashed | None) -> bytes:
        """Return the bundle that `sign` makes, which verifies with the root of the services."""
        with transport.translated():
            try:
                signed = sign()
            except ExpiredCertificate:  # many models, or slow services
                self._signer = self._certify()
                signed = sign()
            data = signed.to_json().encode()
        try:
            bundle = bundle_format.parse(data)
            self._verifier.prove(bundle, Believed(identities=True), artifact)
        except ModelSealError as error:
            raise witness.wrong("The bundle does not verify", error) from error
        return data


class _Authority:
    """A timestamp authority whose answer is checked: without one sigstore-python goes on to log."""

    def __init__(self, client: TimestampAuthorityClient, verifier: Verifier) -> None:
        self._client, self._verifier, self.url = client, verifier, client.url

    def request_timestamp(self, signature: bytes) -> TimeStampResponse:
        """Return a timestamp of `signature` that verifies.

        Raises:
            Undecided: there is none, or it does not.
        """
        try:
            answer = self._client.request_timestamp(signature)
        except TimestampError as error:
            raise witnesses.no_answer("timestamp authority", error) from error
        witness.check_timestamp(answer.as_bytes(), signature, self._verifier)
        return answer


@contextmanager
def session(config: ClientTrustConfig, raw_token: str | None) -> Iterator[Session]:
    """Give a signing session with the services of `config`, for the token of `identity_token`.

    The services are known to be there for it before anybody is asked for an identity.

    Raises:
        SignInNeeded, Undecided: `config` names no usable service, or they give no certificate that
            its trusted root vouches for. Otherwise as `identity_token`.
    """
    data = config._inner.to_json().encode()  # noqa: SLF001 - it has no other way to bytes
    verifier = Verifier(trust_root.in_trust_config(data, "the trust config"))
    context = _context(config, verifier)
    token = identity_token(raw_token, config)
    with ExitStack() as signed_in:
        yield Session(lambda: signed_in.enter_context(context.signer(token)), verifier)


def _context(config: ClientTrustConfig, verifier: Verifier) -> SigningContext:
    """Return the services of `config`, which are waited for with patience that ends."""
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
        transport.patient(http, name, "Check that the token is fresh and that the clocks agree.")
    checked = [_Authority(tsa, verifier) for tsa in context._tsa_clients]  # noqa: SLF001 - as above
    context._tsa_clients = checked  # type: ignore[assignment] # noqa: SLF001 - as above
    return context
