# SPDX-License-Identifier: Apache-2.0
"""A policy for exactly the signers of a model or bundle that is at hand, once it was verified."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from modelseal.admission.check import check
from modelseal.errors import FormatError, ModelSealError, Unverified
from modelseal.files import is_folder, read_trusted
from modelseal.formats import bundle as bundle_format
from modelseal.model import tree
from modelseal.model.find import find_bundles
from modelseal.policy.rules import Policy, Rule
from modelseal.policy.signers import AcceptedAuthority, AcceptedIdentity, AcceptedKey
from modelseal.policy.verdict import left_out
from modelseal.verification.believed import Believed, TrustedAuthority, TrustedKey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography import x509

    from modelseal.policy.signers import AcceptedSigner
    from modelseal.trust.signature import PublicKey
    from modelseal.trust.signer import Signer
    from modelseal.verification.authentic import Authentic
    from modelseal.verification.verifier import Verifier

_NAME = "release"


class Known(NamedTuple):
    """Keys and CAs that may have signed; without any of them, identities."""

    keys: tuple[PublicKey, ...] = ()
    roots: tuple[x509.Certificate, ...] = ()

    def believed(self) -> Believed:
        """Return whose signatures are believed."""
        authorities = (TrustedAuthority(self.roots, logged=False),) if self.roots else ()
        keys = tuple(TrustedKey(key, logged=False) for key in self.keys)
        return Believed(not keys and not authorities, keys, authorities)


class Pinned(NamedTuple):
    """A policy that accepts `model` by those who made the `signatures`, and nothing else."""

    policy: Policy
    signatures: tuple[Authentic, ...]
    model: str


def pin(path: Path, verifier: Verifier, known: Known) -> Pinned:
    """Return the policy for exactly the signers of the model or bundle at `path`.

    Of a model every signature that holds counts, and its files must be those that were signed. A
    bundle alone says nothing about files: its policy is about every model.

    Raises:
        PolicyRefused, Unverified, FormatError: no signature holds, or the files are others.
        UsageError, Undecided: missing, unreadable.
    """
    alone = _bundle(path)
    if alone is not None:
        signatures = [verifier.authenticate(alone, known.believed(), name=path.name)]
        return Pinned(_policy(signatures, "*", known), tuple(signatures), "*")
    signatures = _authenticated(path, verifier, known.believed())
    model = os.path.basename(os.path.abspath(path))  # noqa: PTH100, PTH119 - a link stays one
    policy = _policy(signatures, model, known)
    check(path, policy, verifier).raise_for_refusal()
    return Pinned(policy, tuple(signatures), model)


def _bundle(path: Path) -> bytes | None:
    """Return the bytes of the bundle that the file `path` is, None if it is none."""
    if is_folder(path):
        return None
    try:
        data = read_trusted(path, bundle_format.LIMIT, "bundle")
        bundle_format.parse(data)
    except FormatError:  # also what is too large for a bundle
        return None
    return data


def _authenticated(path: Path, verifier: Verifier, believed: Believed) -> list[Authentic]:
    def artifact() -> bytes:
        return tree.read(path, bundle_format.LIMIT, "artifact")

    found: list[Authentic] = []
    errors: list[ModelSealError] = []
    for one in find_bundles(path):
        try:
            data = tree.read(one, bundle_format.LIMIT, "bundle")
            found.append(verifier.authenticate(data, believed, artifact, name=one.name))
        except ModelSealError as error:
            errors.append(error)
    if not found:
        raise errors[0] if errors else Unverified("unsigned", "The model has no signature.")
    first = found[0].manifest.resources
    return [one for one in found if one.manifest.resources == first]


def _policy(signatures: Sequence[Authentic], model: str, known: Known) -> Policy:
    signers = list({one.signer.who: one.signer for one in signatures}.values())
    accepted = tuple(
        _accepted(_NAME if number == 1 else f"{_NAME}-{number}", signer, known)
        for number, signer in enumerate(signers, 1)
    )
    everywhere = (set(left_out(one.manifest)) for one in signatures)
    rule = Rule(
        models=(_literal(model),),
        signers=tuple(one.name for one in accepted),
        threshold=len(accepted),
        allow_ignored=tuple(_literal(path) for path in sorted(set.intersection(*everywhere))),
    )
    return Policy(signers=accepted, rules=(rule,))


def _accepted(name: str, signer: Signer, known: Known) -> AcceptedSigner:
    if signer.kind == "identity":
        return AcceptedIdentity(name, signer.subject, signer.issuer)
    if signer.kind == "certificate":
        return AcceptedAuthority(name, known.roots, signer.subject)
    keys = (AcceptedKey(name, key) for key in known.keys)
    return next(key for key in keys if key.accepts(signer))


def _literal(text: str) -> str:
    """Return the glob that covers just `text`."""
    if text == "*":
        return text
    from glob import escape  # noqa: PLC0415 - only where a policy is written

    return escape(text)
