# SPDX-License-Identifier: Apache-2.0
"""What a caller asks for, by arguments or by a policy file, as one policy and one trusted root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict, Unpack

from modelseal.arguments import check_not_empty
from modelseal.errors import UsageError
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity, AcceptedKey
from modelseal.trust.choice import Trust
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelseal.policy.signers import AcceptedSigner
    from modelseal.verification.believed import Checks

    Paths = str | Path | Sequence[str | Path]


class Request(TypedDict, total=False):
    """Who must have signed, and what is believed; shared by `verify`, `verify_all` and `load`.

    identity, issuer: this identity, and the OIDC issuer that vouched for it.
    key: a file with a public key, or several.
    certificate_authority, certificate_subject: a file with CA certificates, and the subject whose
        certificate it must be; without a subject anybody whom the CA certifies is accepted.
    publisher: the name of a known publisher (`modelseal publishers list`), or several.
    signers: several identities, each with its issuer.
    logged: false if signatures by the keys or the CA are in no log, though the root names one.
    threshold: how many of the signers must have signed; by default all.
    policy: a policy, or the file of one, instead of all of the above.
    policy_signer: who must have signed the file of the policy: the file of a public key, or
        "identity=ID,issuer=URL".
    trust: a file with a trusted root or a trust config, the URL of an instance, or a `Trust`. By
        default that of the policy, else the public instance; keys and CAs need none.
    refresh: ask TUF what the instance publishes now.
    verifier: whose checks of a signature count: "modelseal", "sigstore" or "both".
    ignore_unsigned: patterns of files that may be there though nobody signed them.
    """

    identity: str
    issuer: str
    key: Paths
    certificate_authority: str | Path
    certificate_subject: str
    publisher: str | Sequence[str]
    signers: Sequence[tuple[str, str]]
    logged: bool
    threshold: int
    policy: str | Path | Policy
    policy_signer: str
    trust: str | Path | Trust
    refresh: bool
    verifier: Checks
    ignore_unsigned: Sequence[str]
    trusted_root: str | Path
    trust_config: str | Path
    instance: str


class Asked(NamedTuple):
    """The policy that decides, and the verifier that believes what was asked."""

    policy: Policy
    verifier: Verifier


def asked(**request: Unpack[Request]) -> Asked:
    """Return what the arguments, see `Request`, mean.

    Raises:
        UsageError: they do not say who must have signed, or say it twice.
        FormatError, Undecided: a file cannot be read as what it should be.
    """
    for name, value in request.items():
        check_not_empty(f"'{name}'", value)
    trust = Trust.of_arguments(
        request.get("trust"),
        trusted_root=request.get("trusted_root"),
        trust_config=request.get("trust_config"),
        instance=request.get("instance"),
        refresh=request.get("refresh", False),
    )
    policy = _policy(request, trust)
    return Asked(policy, verifier_for(policy, trust))


def verifier_for(policy: Policy, trust: Trust) -> Verifier:
    """Return the verifier for `policy`: it believes `trust`, else the policy's root.

    Where neither is named it is the public instance, but for keys and CAs, which need none.

    Raises:
        UsageError, FormatError, Undecided: the root cannot be had or read.
    """
    if trust.is_named:
        return Verifier(trust.resolve())
    if policy.trust_root is not None:
        return Verifier(Trust(trusted_root=policy.trust_root).resolve())
    if any(isinstance(signer, AcceptedIdentity) for signer in policy.signers):
        return Verifier(trust.resolve())
    return Verifier()


def _policy(request: Request, trust: Trust) -> Policy:
    given, policy_signer = request.get("policy"), request.get("policy_signer")
    if policy_signer is not None and (given is None or isinstance(given, Policy)):
        message = "Somebody must have signed the policy, and no file of a policy was given."
        raise UsageError("whose-signature", message, "Give the file, or leave the signer out.")
    signers = _signers(request)
    if given is None:
        return Policy.for_signers(
            signers,
            request.get("threshold", len(signers)),
            verifier=request.get("verifier", "modelseal"),
            ignore_unsigned=tuple(request.get("ignore_unsigned", ())),
        )
    settled = {"logged", "threshold", "verifier", "ignore_unsigned", "certificate_subject"}
    if signers or settled & request.keys():
        raise UsageError(
            "whose-signature",
            "A policy was given, and beside it what the policy itself says.",
            "Leave out the policy, or everything else about signers.",
        )
    if isinstance(given, Policy):
        return given
    if policy_signer is not None:
        from modelseal.admission import signed_policy  # noqa: PLC0415 - only for policies that must be signed

        return signed_policy.load(Path(given), policy_signer, trust)
    from modelseal.policy import document  # noqa: PLC0415 - only for policies in files

    return document.load(Path(given))


def _signers(request: Request) -> list[AcceptedSigner]:
    """Return the signers that are named, in one way: by identity, by key or by CA."""
    pairs = list(dict.fromkeys(request.get("signers", ())))
    identity, issuer = request.get("identity"), request.get("issuer")
    if (identity is None) != (issuer is None):
        raise UsageError("whose-signature", "identity and issuer go together.")
    if identity is not None and issuer is not None:
        pairs.insert(0, (identity, issuer))
    logged = request.get("logged", True)
    paths, authority = request.get("key"), request.get("certificate_authority")
    publishers = request.get("publisher")
    ways = (
        bool(pairs), paths is not None, authority is not None, publishers is not None,
        "policy" in request,
    )  # fmt: skip
    if ways.count(True) != 1:
        raise UsageError(
            "whose-signature",
            "Say who must have signed, in one way.",
            "Give an identity and its issuer, or a key, or a CA, or a publisher, or a policy.",
        )
    if authority is None and request.get("certificate_subject") is not None:
        raise UsageError(
            "whose-signature",
            "A certificate subject was given, and no CA that certifies it.",
            "Give the CA as well: --certificate-chain.",
        )
    if publishers is not None:
        return _publishers(publishers)
    if paths is not None:
        return _keys(paths, logged=logged)
    if authority is not None:
        from modelseal.trust import keys  # noqa: PLC0415 - X.509, only where wanted

        roots = keys.load_certificates(Path(authority))
        subject = request.get("certificate_subject")
        return [AcceptedAuthority("expected", roots, subject, logged)]
    if pairs and not logged:
        raise UsageError(
            "whose-signature",
            "Only a key or a CA can have signatures in no log: the certificate of an identity is "
            "valid for minutes, and the log or a timestamp says when it was used.",
            "Leave out --not-logged (in Python logged=False).",
        )
    return [AcceptedIdentity(f"expected-{n}", *pair) for n, pair in enumerate(pairs, 1)]


def _keys(paths: Paths, *, logged: bool) -> list[AcceptedSigner]:
    from modelseal.trust import keys  # noqa: PLC0415 - only where keys are wanted

    several = [paths] if isinstance(paths, str | os.PathLike) else paths
    found = {keys.public_pem(key): key for key in (keys.load_public(Path(p)) for p in several)}
    return [AcceptedKey(f"expected-{n}", key, logged) for n, key in enumerate(found.values(), 1)]


def _publishers(given: str | Sequence[str]) -> list[AcceptedSigner]:
    from modelseal.policy import publishers  # noqa: PLC0415 - only where some are named

    several = [given] if isinstance(given, str) else given
    return [publishers.accepted(name) for name in dict.fromkeys(several)]
