# SPDX-License-Identifier: Apache-2.0
"""The three kinds of signers that an operator can accept: identities, public keys, CAs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING

from modelseal.errors import UsageError, shown
from modelseal.policy.patterns import Glob, Regex, check_owned
from modelseal.trust import keys
from modelseal.trust.signer import SUBJECT_NAME

if TYPE_CHECKING:
    from cryptography import x509

    from modelseal.policy.workflows import Workflow
    from modelseal.trust.signature import PublicKey
    from modelseal.trust.signer import Signer


@dataclass(frozen=True)
class AcceptedIdentity:
    """An identity, or a pattern over identities, and the OIDC issuer that vouches for it.

    Text is compared exactly. With a `workflow` the claims of the certificate must be those of such
    a run, and then the identity may be left out.

    Raises:
        UsageError: neither is given, no issuer, or a pattern that is too loose.
    """

    name: str
    identity: str | Glob | Regex | None
    issuer: str
    workflow: Workflow | None = None

    def __post_init__(self) -> None:
        if not self.issuer or not (self.identity or self.workflow):
            message = f"The signer '{shown(self.name)}' needs an identity and its issuer."
            raise UsageError("whose-signature", message, "Give --identity and --issuer.")
        if isinstance(self.identity, Glob | Regex):
            check_owned(self.identity)

    def accepts(self, signer: Signer) -> bool:
        """Return whether `signer` is this one."""
        if signer.kind != "identity" or signer.issuer != self.issuer:
            return False
        if not self.covers(signer.subject):
            return False
        return self.workflow is None or self.workflow.accepts(signer)

    def covers(self, subject: str) -> bool:
        """Return whether `subject` is the identity, or one that the pattern is about."""
        if isinstance(self.identity, Glob | Regex):
            return self.identity.matches(subject)
        return self.identity in {subject, None}

    def __str__(self) -> str:
        who = [str(one) for one in (self.identity, self.workflow) if one is not None]
        return f"{', '.join(who)} ({self.issuer})"


@dataclass(frozen=True)
class AcceptedKey:
    """The owner of a public key.

    `logged = False` says that the signatures of this key are in no transparency log, which they
    must otherwise be as soon as the trusted root names one.
    """

    name: str
    key: PublicKey = field(hash=False)  # keys of cryptography can be compared, not hashed
    logged: bool = True

    @cached_property
    def fingerprint(self) -> str:
        """Return "sha256:" and the hex of SHA-256 over the PEM text, the key hint of OMS."""
        return f"sha256:{keys.hints(self.key)[0]}"

    def accepts(self, signer: Signer) -> bool:
        """Return whether `signer` is the owner of this key."""
        return signer.kind == "key" and signer.subject == self.fingerprint

    def __str__(self) -> str:
        return f"{self.fingerprint} (public key)"


@dataclass(frozen=True)
class AcceptedAuthority:
    """Somebody with a certificate that one of the CA certificates `roots` vouches for.

    `subject` says whose certificate: its subject (RFC 4514) or one of its alternative names. None
    accepts everybody whom the CA certifies, and verdicts say so. `logged` is as for `AcceptedKey`.
    """

    name: str
    roots: tuple[x509.Certificate, ...]
    subject: str | None = None
    logged: bool = True

    @cached_property
    def fingerprints(self) -> frozenset[str]:
        """Return SHA-256 over the DER of each of the CA certificates, in hex."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - 10 ms

        return frozenset(sha256(one.public_bytes(Encoding.DER)).hexdigest() for one in self.roots)

    def accepts(self, signer: Signer) -> bool:
        """Return whether a CA of these vouches for `signer`, and the subject is the one wanted."""
        if signer.kind != "certificate" or self.fingerprints.isdisjoint(signer.authorities):
            return False
        other_names = (value for name, value in signer.claims if name == SUBJECT_NAME)
        return self.subject is None or self.subject in {signer.subject, *other_names}

    def __str__(self) -> str:
        who = "anybody" if self.subject is None else self.subject
        cas = ", ".join(one.subject.rfc4514_string() for one in self.roots)
        return f"{who} (certificate of {cas})"


AcceptedSigner = AcceptedIdentity | AcceptedKey | AcceptedAuthority
