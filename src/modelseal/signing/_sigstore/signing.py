# SPDX-License-Identifier: Apache-2.0
"""Keyless signing: who signs in, and the bundles made in that sign-in."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from sigstore import dsse, oidc
from sigstore.errors import Error
from sigstore.hashes import Hashed
from sigstore.sign import SigningContext
from sigstore_models.common.v1 import HashAlgorithm
from urllib3.exceptions import HTTPError

from modelseal import files
from modelseal.errors import SignInNeeded, Undecided, shown
from modelseal.signing._sigstore import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from sigstore.models import Bundle, ClientTrustConfig
    from sigstore.sign import Signer

_VARIABLE = "SIGSTORE_ID_TOKEN"  # GitLab's way, and that of other clients everywhere
TOKEN_FILE = Path("/var/run/sigstore/cosign/oidc-token")
_TOKEN_LIMIT = 64 * 1024  # bytes


def identity_token(raw: str | None, config: ClientTrustConfig) -> oidc.IdentityToken:
    """Return the token to sign in with: `raw`, the one at hand here, or one from the browser.

    Raises:
        SignInNeeded: none can be had, or it is malformed, expired or not yet valid.
        FormatError, Undecided: the file with the token cannot be read.
    """
    raw = raw or _ambient()
    if raw is not None:
        return _checked_token(raw)
    try:
        with redirect_stdout(sys.stderr):  # the question for a code is no part of the answer
            return oidc.Issuer(config.signing_config.get_oidc_url()).identity_token()
    except (Error, oidc.IssuerError, OSError, EOFError, RuntimeError) as error:
        # The last three are what asking for a code says where there is no terminal to ask at.
        raise SignInNeeded(
            "sign-in-needed",
            "Signing needs an identity, and the sign-in did not give one.",
            "Give --identity-token, or run where a browser can open.",
        ) from error


def _ambient() -> str | None:
    """Return the token that was put here for Sigstore clients, or that of the CI system or cloud.

    What somebody put here on purpose comes before what the machine happens to offer.
    """
    placed = os.environ.get(_VARIABLE) or _from_file()
    if placed:
        return placed
    try:
        return oidc.detect_credential()
    except (Error, ValueError, HTTPError) as error:
        raise SignInNeeded(
            "ambient-identity",
            f"The identity that this system offers cannot be used: {shown(str(error))}.",
            "On GitHub grant the job the permission id-token: write; on GitLab declare "
            f"{_VARIABLE} under id_tokens; or give --identity-token.",
        ) from error


def _from_file() -> str | None:
    """Return the token in the file where other clients look too; Kubernetes renews it there.

    Raises:
        FormatError, Undecided: there is something, but no file of a token's size, or unreadable.
    """
    if not files.exists(TOKEN_FILE):
        return None
    return files.read_trusted(TOKEN_FILE, _TOKEN_LIMIT, "identity token").decode(errors="replace")


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


class Session:
    """One sign-in: every signature made through it shares the certificate while that is valid."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def artifact_hash(self) -> Literal["sha256"]:
        """Return the hash by which an artifact is signed: the keys of sign-ins are P-256."""
        return "sha256"

    def artifact(self, signed: bytes) -> bytes:
        """Return the bundle of an artifact with this SHA-256."""
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=signed)
        return self._made(lambda: self._signer.sign_artifact(hashed))

    def statement(self, payload: bytes) -> bytes:
        """Return the bundle of the in-toto statement `payload`."""
        return self._made(lambda: self._signer.sign_dsse(dsse.Statement(payload)))

    def _made(self, sign: Callable[[], Bundle]) -> bytes:
        with transport.translated():
            return sign().to_json().encode()


@contextmanager
def session(config: ClientTrustConfig, token: oidc.IdentityToken) -> Iterator[Session]:
    """Give a signing session for `token` with the services of `config`.

    Raises:
        SignInNeeded, Undecided: `config` names no usable service, or they give no certificate that
            its trusted root vouches for.
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
        transport.patient(http, name, "Check that the token is fresh and that the clocks agree.")
    with ExitStack() as signed_in:
        with transport.translated():
            signer = signed_in.enter_context(context.signer(token))
        yield Session(signer)
