# SPDX-License-Identifier: Apache-2.0
"""From the claims of an identity token to what a certificate says, as Fulcio documents it.

sigstore/fulcio, docs/oid-info.md and docs/oidc.md. Each kind of issuer has its own mapping.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from modelseal.errors import UsageError, shown
from modelseal.instance.refused import Refused
from modelseal.instance.tokens import Identity, parse_identity

if TYPE_CHECKING:
    from collections.abc import Callable

Claims = dict[str, Any]
_LIMIT = 2048
_URI = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+|spiffe://[A-Za-z0-9._/-]+")

# Extensions below 1.3.6.1.4.1.57264.1, by the last number.
NAMES = {
    2: "GitHub workflow trigger", 3: "GitHub workflow SHA", 4: "GitHub workflow name",
    5: "GitHub workflow repository", 6: "GitHub workflow ref", 9: "Build signer URI",
    10: "Build signer digest", 11: "Runner environment", 12: "Source repository URI",
    13: "Source repository digest", 14: "Source repository ref",
    15: "Source repository identifier", 16: "Source repository owner URI",
    17: "Source repository owner identifier", 18: "Build config URI", 19: "Build config digest",
    20: "Build trigger", 21: "Run invocation URI", 22: "Source repository visibility",
}  # fmt: skip


@dataclass(frozen=True)
class Named:
    """Whom a certificate names; `subject` is what a client signs to prove that it has the key."""

    identity: Identity
    subject: str
    issuer: str
    extensions: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Place:
    """What the operator says of an issuer, as far as a mapping needs it."""

    issuer: str
    server: str = ""  # of repositories
    domain: str = ""  # of URIs


def named(kind: str, place: Place, claims: Claims) -> Named:
    """Return whom `claims` name, by the mapping `kind` (one of KINDS).

    Raises:
        Refused: a claim is missing, or is not what the issuer may say.
    """
    return KINDS[kind](place, claims)


def _email(place: Place, claims: Claims) -> Named:
    address = _text(claims, "email")
    if claims.get("email_verified") is not True:
        raise _bad("its e-mail address was not verified")
    try:
        identity = parse_identity(address)
    except UsageError as error:
        raise _bad(error.message) from error
    if not identity.is_email:
        raise _bad("its e-mail address is none")
    return Named(identity, address, place.issuer)


def _uri(place: Place, claims: Claims) -> Named:
    subject = _text(claims, "sub")
    own, asked = urlsplit(place.domain), urlsplit(_checked(subject))
    if (asked.scheme, asked.netloc) != (own.scheme, own.netloc):
        raise _bad(f"its subject is not below {place.domain}")
    return Named(Identity(subject, is_email=False), subject, place.issuer)


def _kubernetes(place: Place, claims: Claims) -> Named:
    about = claims.get("kubernetes.io")
    account = about.get("serviceaccount") if isinstance(about, dict) else None
    if not isinstance(about, dict) or not isinstance(account, dict):
        raise _bad("it names no service account")
    uri = (
        f"https://kubernetes.io/namespaces/{_text(about, 'namespace')}"
        f"/serviceaccounts/{_text(account, 'name')}"
    )
    return Named(Identity(_checked(uri), is_email=False), _text(claims, "sub"), place.issuer)


def _github(place: Place, claims: Claims) -> Named:
    server = place.server or "https://github.com"
    repository = _text(claims, "repository")
    signer = f"{server}/{_text(claims, 'job_workflow_ref')}"
    run = f"{_text(claims, 'run_id')}/attempts/{_text(claims, 'run_attempt')}"
    extensions = {
        2: _text(claims, "event_name"), 3: _text(claims, "sha"), 4: _text(claims, "workflow"),
        5: repository, 6: _text(claims, "ref"),
        9: signer, 10: _text(claims, "job_workflow_sha"),
        11: _text(claims, "runner_environment"),
        12: f"{server}/{repository}", 13: _text(claims, "sha"), 14: _text(claims, "ref"),
        15: _text(claims, "repository_id"), 16: f"{server}/{_text(claims, 'repository_owner')}",
        17: _text(claims, "repository_owner_id"),
        18: f"{server}/{_text(claims, 'workflow_ref')}", 19: _text(claims, "workflow_sha"),
        20: _text(claims, "event_name"), 21: f"{server}/{repository}/actions/runs/{run}",
        22: _text(claims, "repository_visibility"),
    }  # fmt: skip
    return _of_build(place, claims, signer, extensions)


def _gitlab(place: Place, claims: Claims) -> Named:
    server = place.server or "https://gitlab.com"
    project = f"{server}/{_text(claims, 'project_path')}"
    config = f"https://{_text(claims, 'ci_config_ref_uri')}"
    prefix = {"branch": "refs/heads/", "tag": "refs/tags/"}.get(_text(claims, "ref_type"))
    if prefix is None:
        raise _bad("its ref is neither a branch nor a tag")
    extensions = {
        9: config, 10: _optional(claims, "ci_config_sha"),
        11: _text(claims, "runner_environment"),
        12: project, 13: _text(claims, "sha"), 14: prefix + _text(claims, "ref"),
        15: _text(claims, "project_id"), 16: f"{server}/{_text(claims, 'namespace_path')}",
        17: _text(claims, "namespace_id"), 18: config, 19: _optional(claims, "ci_config_sha"),
        20: _text(claims, "pipeline_source"), 21: f"{project}/-/jobs/{_text(claims, 'job_id')}",
        22: _optional(claims, "project_visibility"),
    }  # fmt: skip
    return _of_build(place, claims, config, extensions)


def _of_build(place: Place, claims: Claims, uri: str, extensions: dict[int, str]) -> Named:
    return Named(
        Identity(_checked(uri), is_email=False),
        _text(claims, "sub"),
        place.issuer,
        tuple((number, value) for number, value in extensions.items() if value),
    )


KINDS: dict[str, Callable[[Place, Claims], Named]] = {
    "email": _email, "uri": _uri, "kubernetes": _kubernetes,
    "github-workflow": _github, "gitlab-pipeline": _gitlab,
}  # fmt: skip


def _text(claims: Claims, name: str) -> str:
    value = _optional(claims, name)
    if not value:
        raise _bad(f"it has no {name!r}")
    return value


def _optional(claims: Claims, name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > _LIMIT or not value.isprintable():
        raise _bad(f"its {name!r} is not a short text")
    return value


def _checked(uri: str) -> str:
    if len(uri) > _LIMIT or not _URI.fullmatch(uri):
        raise _bad(f"{shown(uri)!r} is not a URI that a certificate can name")
    return uri


def _bad(reason: str) -> Refused:
    return Refused(401, "bad-token", f"The identity token names nobody: {reason}.")
