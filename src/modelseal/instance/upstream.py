# SPDX-License-Identifier: Apache-2.0
"""Issuers of identity tokens other than ours: which are believed, and by which keys.

    [[issuer]]
    url = "https://token.actions.githubusercontent.com"
    type = "github-workflow"    # or gitlab-pipeline, kubernetes, email, uri
    client-id = "sigstore"      # the audience of its tokens; this is the default
    keys = "jwks.json"          # its JSON Web Key Set; without it the issuer is asked
    server = "https://github.example"   # of the repositories, where it is not github.com
    subject-domain = "https://example.com"   # of the type uri

The names are those of Fulcio's configuration.
"""

from __future__ import annotations

import threading
import time
import tomllib
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt

from modelseal import files
from modelseal.errors import FormatError, UsageError, shown
from modelseal.formats.strict import as_kind, member, parse_json
from modelseal.instance import claims as claims_of
from modelseal.instance.claims import KINDS, Named, Place
from modelseal.instance.listening import is_local
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Only signatures by keys that the issuer alone has.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
_FILE_LIMIT = 1 << 20
_TOKEN_LIMIT = 16 << 10
_SECONDS = 10
_FRESH = 600.0  # seconds for which keys are not asked for again
_AGAIN = 30.0  # and for which they are not even for a key that is not among them
_STALE = 86_400.0  # and after which they are not believed while the issuer does not answer
_LEEWAY = 5
_FIELDS = {"url", "type", "client-id", "keys", "server", "subject-domain"}


@dataclass(frozen=True)
class Issuer:
    """An issuer that the operator believes; `keys_file` is None where the issuer is asked."""

    kind: str
    place: Place
    audience: str
    keys_file: Path | None
    _keys: _Keys = field(compare=False, repr=False)

    def named(self, token: str, now: float) -> Named:
        """Return whom `token` names.

        Raises:
            Refused: it is not a token of this issuer for us and for now, or its keys cannot be had.
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError as error:
            raise _bad(error) from error
        try:
            claims = jwt.decode(
                token, self._keys.key(key_id), algorithms=_ALGORITHMS, audience=self.audience,
                issuer=self.place.issuer,
                options={
                    "require": ["aud", "sub", "iat", "exp", "iss"],
                    # Times are compared below, against the clock that we are given.
                    "verify_exp": False, "verify_nbf": False, "verify_iat": False,
                },
            )  # fmt: skip
            begin = max(int(claims["iat"]), int(claims.get("nbf", 0)))
            end = int(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise _bad(error) from error
        if not begin - _LEEWAY <= now < end:
            raise Refused(401, "token-expired", "The identity token is expired or not yet valid.")
        return claims_of.named(self.kind, self.place, claims)


@dataclass(frozen=True)
class Upstream:
    """All issuers that are believed, by URL."""

    issuers: dict[str, Issuer]

    def of_token(self, token: str) -> Issuer | None:
        """Return the issuer that `token` says made it, None if it is none of them.

        Raises:
            Refused: it is too long to be a token.
        """
        if len(token) > _TOKEN_LIMIT:
            raise Refused(401, "bad-token", "The identity token is too long.")
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError):
            return None
        claimed = unverified.get("iss")
        return self.issuers.get(claimed) if isinstance(claimed, str) else None


def read_issuers(path: Path) -> Upstream:
    """Return the issuers in the TOML file at `path`.

    Raises:
        UsageError: it cannot be read, or says something else than above.
    """
    data = files.read_trusted(path, _FILE_LIMIT, "issuers file")
    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong(f"it is not TOML: {shown(str(error))}") from error
    listed = document.pop("issuer", None)
    if document or not isinstance(listed, list) or not listed:
        raise _wrong("it must have [[issuer]] tables and nothing else")
    issuers: dict[str, Issuer] = {}
    for number, table in enumerate(listed, 1):
        issuer = _issuer(number, table, path.parent)
        if issuer.place.issuer in issuers:
            raise _wrong(f"issuer {number} is there twice")
        issuers[issuer.place.issuer] = issuer
    return Upstream(issuers)


def _issuer(number: int, table: object, folder: Path) -> Issuer:
    if not isinstance(table, dict) or not all(isinstance(one, str) for one in table.values()):
        raise _wrong(f"issuer {number} has a value that is no text")
    if unknown := sorted(table.keys() - _FIELDS):
        raise _wrong(f"issuer {number} has an unknown member {shown(unknown[0])!r}")
    url, kind = table.get("url", ""), table.get("type", "")
    if not _is_origin(url, path_too=True):
        raise _wrong(f"the url of issuer {number} must be https, or http on this machine")
    if kind not in KINDS:
        raise _wrong(f"the type of issuer {number} must be one of {', '.join(KINDS)}")
    server, domain = table.get("server", ""), table.get("subject-domain", "")
    if (kind == "uri") != bool(domain) or (domain and not _is_origin(domain, path_too=False)):
        raise _wrong(f"issuer {number}: type uri, and no other, needs a subject-domain")
    if server and not _is_origin(server, path_too=False):
        raise _wrong(f"the server of issuer {number} is not https://NAME")
    keys_file = folder / table["keys"] if "keys" in table else None
    keys = _Keys(url, _from_file(keys_file) if keys_file is not None else None)
    place = Place(url, server, domain)
    return Issuer(kind, place, table.get("client-id", "sigstore"), keys_file, keys)


def _is_origin(url: str, *, path_too: bool) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    clean = url.isascii() and url.isprintable() and "@" not in parts.netloc
    plain = not parts.query and not parts.fragment and (path_too or not parts.path)
    return bool(host) and clean and plain and (parts.scheme == "https" or is_local(url))


def _from_file(path: Path) -> dict[str, Any]:
    try:
        keys = _key_set(files.read_trusted(path, _FILE_LIMIT, "key set of an issuer"))
    except FormatError as error:
        raise _wrong(f"'{shown(str(path))}' is not a JSON Web Key Set") from error
    if not keys:
        raise _wrong(f"'{shown(str(path))}' has no key that can be used")
    return keys


def _key_set(data: bytes) -> dict[str, Any]:
    """Return the keys of a JSON Web Key Set (RFC 7517) by their id.

    Those that are not for signatures, or of unknown kinds, are passed over.
    """
    document = as_kind(parse_json(data, what="key set", limit=_FILE_LIMIT), dict, what="key set")
    keys = {}
    for one in member(document, "keys", list, what="key set"):
        if not isinstance(one, dict) or one.get("use", "sig") != "sig" or one.get("kty") == "oct":
            continue
        try:
            key = jwt.PyJWK(one)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        keys[str(one.get("kid", ""))] = key
    return keys


class _Keys:
    """The keys of an issuer: fixed, or asked for and kept for a while."""

    def __init__(
        self, issuer: str, fixed: dict[str, Any] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._issuer, self._fixed, self._clock = issuer, fixed is not None, clock
        self._keys: dict[str, Any] = fixed or {}
        self._asked = self._answered = float("-inf")
        self._asking = threading.Lock()

    def key(self, key_id: str | None) -> Any:  # noqa: ANN401 - PyJWT's, which has no public type
        """Return the key with `key_id`.

        Only one thread at a time asks the issuer, and no other waits for it: an issuer that is down
        must not take the threads of everybody.

        Raises:
            Refused: there is none, or the issuer does not answer.
        """
        known = self._found(key_id)
        patience = _AGAIN if known is None else _FRESH
        if not self._fixed and self._clock() - self._asked > patience:
            if self._asking.acquire(blocking=False):
                try:
                    known = self._asked_anew(key_id)
                finally:
                    self._asking.release()
            elif known is None:
                raise Refused(
                    503, "issuer-unreachable",
                    f"The keys of {shown(self._issuer)} are just being asked for.",
                    "Try again.", retry_after=1,
                )  # fmt: skip
        if known is None:
            raise Refused(401, "bad-token", "The identity token is signed by an unknown key.")
        return known

    def _asked_anew(self, key_id: str | None) -> Any:  # noqa: ANN401 - as above
        try:
            self._keys = _fetched(self._issuer)
            self._answered = self._clock()
        except Refused:
            if self._found(key_id) is None or self._clock() - self._answered > _STALE:
                self._keys = {}
                raise
        finally:
            self._asked = self._clock()  # also when it failed: nobody can make us ask often
        return self._found(key_id)

    def _found(self, key_id: str | None) -> Any:  # noqa: ANN401 - as above
        if key_id is None:  # allowed where the issuer has one key
            return next(iter(self._keys.values())) if len(self._keys) == 1 else None
        return self._keys.get(key_id)


def _fetched(issuer: str) -> dict[str, Any]:
    """Return the keys that `issuer` publishes (OpenID Connect Discovery section 4)."""
    try:
        where = _jwks_uri(issuer, _get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        return _key_set(_get(where))
    except (OSError, HTTPException, ValueError, FormatError) as error:
        raise Refused(
            503, "issuer-unreachable",
            f"The keys of {shown(issuer)} cannot be had: {shown(str(error))}.",
            "Try again later.", retry_after=int(_AGAIN),
        ) from error  # fmt: skip


def _jwks_uri(issuer: str, data: bytes) -> str:
    what = "discovery of the issuer"
    discovery = as_kind(parse_json(data, what=what, limit=_FILE_LIMIT), dict, what=what)
    if discovery.get("issuer") != issuer:
        raise ValueError("it says that it is another issuer")
    where = member(discovery, "jwks_uri", str, what=what)
    if not _is_origin(where, path_too=True):
        raise ValueError("its keys are not at an https address")
    return where


def _get(url: str) -> bytes:
    request = Request(url)  # noqa: S310 - the scheme was checked
    with build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
        body: bytes = answer.read(_FILE_LIMIT + 1)
    return body


class _NoRedirect(HTTPRedirectHandler):
    """An issuer is asked where the operator said."""

    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


def _bad(error: Exception) -> Refused:
    return Refused(
        401, "bad-token", f"The identity token is not one of its issuer: {shown(str(error))}."
    )


def _wrong(reason: str) -> UsageError:
    return UsageError(
        "issuers-file", f"The issuers file cannot be used: {reason}.",
        "docs/instance.md has one for each type.",
    )  # fmt: skip
