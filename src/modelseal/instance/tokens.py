# SPDX-License-Identifier: Apache-2.0
"""Identity tokens (OpenID Connect Core section 2): made with the instance's key, and checked.

An identity is an e-mail address or a URI. `sub` is the identity in both cases, because some stock
clients prove possession of their key over `sub`, others over `email`.
"""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt

from modelseal.errors import UsageError, shown
from modelseal.instance.refused import Refused
from modelseal.instance.spki import spki

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = "sigstore"
LIFETIME = 3600

# cosign takes no other algorithm for a token: it looks for a file of that name instead.
_ALGORITHM = "RS256"
_LEEWAY = 5
_IDENTITY_LIMIT = 256
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_URI_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")


@dataclass(frozen=True)
class Identity:
    """Who signs: an e-mail address or a URI."""

    value: str
    is_email: bool


def parse_identity(text: str) -> Identity:
    """Return the identity that `text` is.

    Raises:
        UsageError: neither an ASCII e-mail address nor an absolute URI, or over 256 characters.
    """
    if len(text) <= _IDENTITY_LIMIT:
        if _EMAIL.fullmatch(text):
            return Identity(text, is_email=True)
        if _URI_CHARACTERS.fullmatch(text) and _is_absolute(text):
            return Identity(text, is_email=False)
    raise UsageError(
        "bad-identity",
        f"{shown(text)!r} is neither an e-mail address nor a URI.",
        "Use alice@example.com, or https://ci.example.com/release.",
    )


def _is_absolute(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return bool(parts.scheme) and bool(parts.netloc or (parts.scheme == "urn" and parts.path))


def mint(
    key: rsa.RSAPrivateKey, issuer: str, identity: Identity, *,
    audience: str, now: float, nonce: str | None = None,
) -> str:  # fmt: skip
    """Return a token that says that its bearer is `identity`, for an hour from `now`."""
    claims: dict[str, Any] = {
        "iss": issuer, "aud": audience, "sub": identity.value,
        "iat": int(now), "nbf": int(now), "exp": int(now) + LIFETIME,
        "jti": secrets.token_hex(16),
    }  # fmt: skip
    if identity.is_email:
        claims |= {"email": identity.value, "email_verified": True}
    if nonce is not None:
        claims["nonce"] = nonce
    return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": key_id(key)})


def check(token: str, key: rsa.RSAPrivateKey, issuer: str, *, now: float) -> Identity:
    """Return the identity that `token` was made for.

    Raises:
        Refused: made by someone else, for someone else, or for another time.
    """
    try:
        claims = jwt.decode(
            token, key.public_key(), algorithms=[_ALGORITHM], audience=CLIENT, issuer=issuer,
            options={
                "require": ["aud", "sub", "iat", "exp", "iss"],
                # Times are compared below, against the clock that we are given.
                "verify_exp": False, "verify_nbf": False, "verify_iat": False,
            },
        )  # fmt: skip
        begin, end = int(claims["iat"]), int(claims["exp"])
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Refused(
            401, "bad-token", f"The identity token is not one of this issuer: {shown(str(error))}."
        ) from error
    if not begin - _LEEWAY <= now < end:
        raise Refused(401, "token-expired", "The identity token is expired or not yet valid.")
    try:
        return parse_identity(claims["sub"])
    except UsageError as error:
        raise Refused(401, "bad-token", error.message) from error


def key_id(key: rsa.RSAPrivateKey) -> str:
    """Return the key's name in the key set."""
    return sha256(spki(key.public_key())).hexdigest()[:16]


def key_set(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    """Return the public key as a JSON Web Key Set (RFC 7517)."""
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": _base64url_uint(numbers.n), "e": _base64url_uint(numbers.e)}
    return {"keys": [jwk | {"use": "sig", "alg": _ALGORITHM, "kid": key_id(key)}]}


def _base64url_uint(number: int) -> str:
    """Return the Base64urlUInt of RFC 7518 section 2."""
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return urlsafe_b64encode(data).rstrip(b"=").decode()
