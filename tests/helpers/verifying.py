# SPDX-License-Identifier: Apache-2.0
"""The verifier, asked about one kind of signer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelseal.admission.check import check
from modelseal.errors import Unverified
from modelseal.policy.rules import Policy
from modelseal.policy.signers import AcceptedAuthority, AcceptedKey
from modelseal.verification.believed import Believed, TrustedAuthority, TrustedKey
from modelseal.verification.checks.timestamps import TimestampChecker
from modelseal.verification.verifier import Verifier

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.formats import bundle as bundle_format
    from modelseal.policy.verdict import Verdict
    from modelseal.trust.trust_root import TrustRoot
    from modelseal.verification.authentic import Authentic
    from modelseal.verification.verifier import Proof

KEYLESS = Believed(identities=True)


def authenticate(
    data: bytes, trusted: TrustedKey | TrustedAuthority, root: TrustRoot | None = None, read=None
) -> Authentic:
    """Return what holds of a signature by a key, or by a certificate of a CA."""
    is_key = isinstance(trusted, TrustedKey)
    believed = Believed(keys=(trusted,)) if is_key else Believed(authorities=(trusted,))
    return Verifier(root).authenticate(data, believed, read)


def authenticate_keyless(data: bytes, root: TrustRoot, checks="modelseal") -> Authentic:
    return Verifier(root).authenticate(data, Believed(identities=True, checks=checks))


def proved(bundle: bundle_format.Bundle, root: TrustRoot, artifact=None) -> Proof:
    """Return what holds of a keyless signature, whatever it is over."""
    return Verifier(root).prove(bundle, KEYLESS, artifact)


def proved_by_key(bundle: bundle_format.Bundle, key, root=None, artifact=None) -> Proof:
    return Verifier(root).prove(bundle, Believed(keys=(TrustedKey(key),)), artifact)


def check_by(path, *trusted, root=None, bundle=None, threshold=None) -> Verdict:
    """Return the verdict on the model at `path`, of which these keys or CAs are to be signers."""
    signers = [_accepted(f"signer {n}", one) for n, one in enumerate(trusted)]
    policy = Policy.for_signers(signers, threshold or len(signers))
    return check(path, policy, Verifier(root), bundle)


def _accepted(name: str, one: TrustedKey | TrustedAuthority) -> AcceptedKey | AcceptedAuthority:
    if isinstance(one, TrustedKey):
        return AcceptedKey(name, one.key, one.logged)
    return AcceptedAuthority(name, one.roots, logged=one.logged)


def stamped(timestamps: tuple[bytes, ...], signed: bytes, authorities) -> tuple[datetime, ...]:
    """Return the times that `authorities` vouch for; refuse timestamps of strangers alone."""
    found = TimestampChecker(tuple(authorities)).check(timestamps, signed)
    if not found.times:
        raise Unverified("no-trusted-time", "only strangers")
    return found.times
