# SPDX-License-Identifier: Apache-2.0
"""The three kinds of signers that an operator can accept: identities, public keys, CAs."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from modelseal.errors import UsageError, shown
from modelseal.trust.signer import SUBJECT_NAME

if TYPE_CHECKING:
    from cryptography import x509

    from modelseal.policy.patterns import Glob, Regex
    from modelseal.policy.workflows import Workflow
    from modelseal.trust.signature import PublicKey
    from modelseal.trust.signer import Signer


class AcceptedIdentity(NamedTuple):
    """An identity, or a pattern over identities, and the OIDC issuer that vouches for it.

    Text is compared exactly. With a `workflow` the claims of the certificate must be those of such
    a run, and then the identity may be left out.
    """

    name: str
    identity: str | Glob | Regex | None
    issuer: str
    workflow: Workflow | None = None

    def check(self) -> None:
        """Check that this is somebody in particular.

        Raises:
            UsageError: no identity, no issuer, or a pattern that is too loose.
        """
        if not self.issuer or self.identity == "" or not (self.identity or self.workflow):
            message = f"The signer '{shown(self.name)}' needs an identity and its issuer."
            raise UsageError("whose-signature", message, "Give --identity and --issuer.")
        if self.identity is not None and not isinstance(self.identity, str):
            self.identity.check_owned()

    def accepts(self, signer: Signer) -> bool:
        """Return whether `signer` is this one."""
        if signer.kind != "identity" or signer.issuer != self.issuer:
            return False
        if not self.covers(signer.subject):
            return False
        return self.workflow is None or self.workflow.accepts(signer)

    def covers(self, subject: str) -> bool:
        """Return whether `subject` is the identity, or one that the pattern is about."""
        if self.identity is None or isinstance(self.identity, str):
            return self.identity in {subject, None}
        return self.identity.matches(subject)

    def __str__(self) -> str:
        who = [str(one) for one in (self.identity, self.workflow) if one is not None]
        return f"{', '.join(who)} ({self.issuer})"


class AcceptedKey(NamedTuple):
    """The owner of a public key.

    `logged = False` says that the signatures of this key are in no transparency log, which they
    must otherwise be as soon as the trusted root names one.
    """

    name: str
    key: PublicKey
    logged: bool = True

    @property
    def fingerprint(self) -> str:
        """Return "sha256:" and the hex of SHA-256 over the PEM text, the key hint of OMS."""
        from modelseal.trust import keys  # noqa: PLC0415 - only where keys are wanted

        return f"sha256:{keys.hints(self.key)[0]}"

    def accepts(self, signer: Signer) -> bool:
        """Return whether `signer` is the owner of this key."""
        return signer.kind == "key" and signer.subject == self.fingerprint

    def __str__(self) -> str:
        return f"{self.fingerprint} (public key)"


class AcceptedAuthority(NamedTuple):
    """Somebody with a certificate that one of the CA certificates `roots` vouches for.

    `subject` says whose certificate: its subject (RFC 4514) or one of its alternative names. None
    accepts everybody whom the CA certifies, and verdicts say so. `logged` is as for `AcceptedKey`.
    """

    name: str
    roots: tuple[x509.Certificate, ...]
    subject: str | None = None
    logged: bool = True

    def check(self) -> None:
        """Check that somebody can be meant.

        Raises:
            UsageError: no CA certificate, or an empty subject.
        """
        if not self.roots or self.subject == "":
            message = f"The signer '{shown(self.name)}' needs a CA, and no empty subject."
            raise UsageError("whose-signature", message, "Give --certificate-chain.")

    @property
    def fingerprints(self) -> frozenset[str]:
        """Return SHA-256 over the DER of each of the CA certificates, in hex."""
        from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - takes 10 ms, only for certificates

        return frozenset(sha256(one.public_bytes(Encoding.DER)).hexdigest() for one in self.roots)

    def accepts(self, signer: Signer) -> bool:
        """Return whether a CA of these vouches for `signer`, and the subject is the one wanted."""
        if signer.kind != "certificate" or self.fingerprints.isdisjoint(signer.authorities):
            return False
        other_names = (value for name, value in signer.claims if name == SUBJECT_NAME)
        if self.subject is None or self.subject in {signer.subject, *other_names}:
            return True
        return _as_printed(self.subject) == signer.subject

    def __str__(self) -> str:
        who = "anybody" if self.subject is None else self.subject
        cas = ", ".join(one.subject.rfc4514_string() for one in self.roots)
        return f"{who} (certificate of {cas})"


def _as_printed(subject: str) -> str | None:
    """Return the name that an operator wrote in the one form in which certificates' are printed.

    Spaces around separators and the case of keywords mean nothing (RFC 4514 section 4, RFC 2253).
    The order does, and all of the values. None if it is no such name.
    """
    from cryptography import x509  # noqa: PLC0415 - X.509, where there are CAs anyway

    parts = re.findall(r"(?:\\.|[^\\,+])+|[,+]", subject, re.DOTALL)
    text = "".join(map(_without_spaces, parts))
    if not text or "".join(parts) != subject:
        return None
    try:
        return x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        return None


def _without_spaces(part: str) -> str:
    """Return a separator, or one `KEYWORD = value`, without spaces that are not escaped."""
    keyword, equals, value = part.partition("=")
    end = value.rstrip()
    backslashes = len(end) - len(end.rstrip("\\"))
    if backslashes % 2 and end != value:
        end += " "  # which the last backslash escapes
    return keyword.strip().upper() + equals + end.lstrip()


AcceptedSigner = AcceptedIdentity | AcceptedKey | AcceptedAuthority
