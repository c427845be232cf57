# SPDX-License-Identifier: Apache-2.0
"""The OpenID provider: authorization code flow with PKCE (RFC 6749, RFC 7636), for people.

Only native clients on this machine are served: the code goes to a loopback address (RFC 8252), or
is shown for typing it in. Scripts get their tokens from the command line, never over HTTP.
"""

from __future__ import annotations

import re
import secrets
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from modelseal.errors import UsageError
from modelseal.instance import tokens
from modelseal.instance.refused import Refused
from modelseal.instance.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import rsa

    from modelseal.instance.users import UsersFile

OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"

_CODE_LIFETIME = 120
_MAX_CODES = 1000
_MAX_CODES_OF_IDENTITY = 10
_LIMIT = 512
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
# urlsplit alone finds the host "::1" in http://evil.example[::1]:80 too
_LOOPBACK = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\]):[0-9]{1,5}", re.IGNORECASE)
_FIELDS = (
    "response_type", "client_id", "redirect_uri", "scope",
    "code_challenge", "code_challenge_method", "state", "nonce",
)  # fmt: skip


@dataclass(frozen=True)
class Authorization:
    """A checked authorization request."""

    redirect_uri: str
    challenge: str
    state: str
    nonce: str | None
    fields: Mapping[str, str] = field(compare=False)  # to ask again, from the form

    def answer(self, code: str) -> str | None:
        """Return where the browser takes `code`, or None when a person does."""
        if self.redirect_uri == OUT_OF_BAND:
            return None
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': self.state})}"


@dataclass(frozen=True)
class _Grant:
    authorization: Authorization
    identity: tokens.Identity
    expires: float


@dataclass(frozen=True)
class SignIn:
    """Hands out codes for identities and tokens for codes; `users` None asks no password.

    When it is `closed`, nobody can sign in: tokens come from other issuers.
    """

    key: rsa.RSAPrivateKey
    issuer: str
    users: UsersFile | None
    closed: bool = False
    _throttle: Throttle = field(default_factory=Throttle, repr=False)
    _grants: dict[str, _Grant] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def discovery(self) -> dict[str, Any]:
        """Return the provider's metadata (OpenID Connect Discovery section 3)."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["openid", "email"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "claims_supported": [
                "iss", "aud", "sub", "iat", "nbf", "exp", "email", "email_verified", "nonce",
            ],
        }  # fmt: skip

    def authorize(self, query: Mapping[str, str]) -> Authorization:
        """Return the authorization request in `query`.

        Raises:
            Refused: not one that we serve. The browser is never sent back with the reason: an
                address that was not checked gets nothing.
        """
        if self.closed:
            raise Refused(
                403, "sign-in-closed", "Nobody signs in here: this instance takes tokens of others."
            )
        fields = {name: query[name] for name in _FIELDS if name in query}
        if any(len(value) > _LIMIT for value in fields.values()):
            raise _bad_request("A field of the request is too long.")
        if fields.get("response_type") != "code":
            raise _bad_request("Only response_type=code is served.")
        if fields.get("client_id") != tokens.CLIENT:
            raise _bad_request(f"The only client is {tokens.CLIENT!r}.")
        redirect_uri = fields.get("redirect_uri", "")
        if redirect_uri != OUT_OF_BAND and not _is_loopback(redirect_uri):
            raise _bad_request("redirect_uri must be an http address of this machine.")
        challenge = fields.get("code_challenge", "")
        if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise _bad_request("PKCE with S256 is required.")
        return Authorization(
            redirect_uri, challenge, fields.get("state", ""), fields.get("nonce"), fields
        )

    def grant(
        self, authorization: Authorization, name: str, password: str, *, address: str, now: float
    ) -> str:
        """Return a code for the identity `name`, after its password if there are passwords.

        `address` is the IP address of whoever signs in.

        Raises:
            Refused: no identity, the password is wrong, or too many before it were.
        """
        try:
            identity = tokens.parse_identity(name.strip())
        except UsageError as error:
            raise Refused(400, error.code, error.message, error.hint) from error
        if self.users is not None:
            attempt = self._throttle.begin(identity.value, address)
            if not self.users.accept(identity.value, password):
                raise Refused(401, "bad-password", "That is not the password of that identity.")
            self._throttle.succeeded(attempt)
        code = secrets.token_urlsafe(32)
        with self._lock:
            self._forget_codes(identity, now)
            self._grants[_fingerprint(code)] = _Grant(authorization, identity, now + _CODE_LIFETIME)
        return code

    def _forget_codes(self, identity: tokens.Identity, now: float) -> None:
        """Make room for a code of `identity`: what is expired goes, then the oldest.

        Its own oldest first: nobody can keep others from signing in by asking for many codes.
        """
        for old in [key for key, grant in self._grants.items() if grant.expires <= now]:
            del self._grants[old]
        own = [key for key, grant in self._grants.items() if grant.identity == identity]
        if len(own) >= _MAX_CODES_OF_IDENTITY:
            del self._grants[own[0]]
        elif len(self._grants) >= _MAX_CODES:
            del self._grants[next(iter(self._grants))]

    def exchange(self, form: Mapping[str, str], client: str, now: float) -> dict[str, Any]:
        """Return the token response for the code in `form`, which is then used up.

        Raises:
            Refused: the code is unknown, used, expired, or another client's.
        """
        if form.get("grant_type") != "authorization_code":
            raise Refused(400, "unsupported_grant_type", "Only codes are exchanged for tokens.")
        if client != tokens.CLIENT:
            raise Refused(401, "invalid_client", f"The only client is {tokens.CLIENT!r}.")
        with self._lock:
            grant = self._grants.pop(_fingerprint(form.get("code", "")), None)
        if grant is None or grant.expires <= now:
            raise _bad_grant("The code is unknown, used or expired.")
        if form.get("redirect_uri") != grant.authorization.redirect_uri:
            raise _bad_grant("The code was made for another redirect_uri.")
        verifier = form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier) or not compare_digest(
            _challenge(verifier), grant.authorization.challenge
        ):
            raise _bad_grant("The code_verifier is not that of the request.")
        token = tokens.mint(
            self.key, self.issuer, grant.identity,
            audience=tokens.CLIENT, now=now, nonce=grant.authorization.nonce,
        )  # fmt: skip
        # Some stock clients read one, some the other.
        return {
            "access_token": token, "id_token": token,
            "token_type": "Bearer", "expires_in": tokens.LIFETIME,
        }  # fmt: skip


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    plain = uri.isascii() and uri.isprintable() and not set(uri) & set(" #?")
    return plain and parts.scheme == "http" and _LOOPBACK.fullmatch(parts.netloc) is not None


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _fingerprint(code: str) -> str:
    """Return a name for `code` that a lookup may leak by its timing."""
    return sha256(code.encode("utf-8", "surrogateescape")).hexdigest()


def _bad_request(message: str) -> Refused:
    return Refused(400, "invalid_request", message)


def _bad_grant(message: str) -> Refused:
    return Refused(400, "invalid_grant", message)
