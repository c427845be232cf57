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
    from cryptography.hazmat.primitives.asymmetric import ec

CLIENT = "sigstore"
LIFETIME = 3600

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
    key: ec.EllipticCurvePrivateKey, issuer: str, identity: Identity, *,
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
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": key_id(key)})


def check(token: str, key: ec.EllipticCurvePrivateKey, issuer: str, *, now: float) -> Identity:
    """Return the identity that `token` was made for.

    Raises:
        Refused: made by someone else, for someone else, or for another time.
    """
    try:
        claims = jwt.decode(
            token, key.public_key(), algorithms=["ES256"], audience=CLIENT, issuer=issuer,
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


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the key's name in the key set."""
    return sha256(spki(key.public_key())).hexdigest()[:16]


def key_set(key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the public key as a JSON Web Key Set (RFC 7517)."""
    numbers = key.public_key().public_numbers()
    x, y = (
        urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
        for number in (numbers.x, numbers.y)
    )
    jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    return {"keys": [jwk | {"use": "sig", "alg": "ES256", "kid": key_id(key)}]}
