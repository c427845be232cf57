# SPDX-License-Identifier: Apache-2.0
"""Who signed: an identity, a public key, or the owner of a certificate.

A module of its own: X.509 takes longer to import than a key takes to verify.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

SUBJECT_NAME = "subject-alternative-name"  # the claim with another name of a certificate's owner

SignerKind = Literal["identity", "key", "certificate"]


class Signer(NamedTuple):
    """Who signed, as far as a check vouched for it.

    | kind        | subject                          | issuer                            |
    |-------------|----------------------------------|-----------------------------------|
    | identity    | an e-mail address or a URI       | the OIDC issuer that vouched      |
    | key         | `sha256:` and the fingerprint    | "public key"                      |
    | certificate | the certificate's subject        | the certificate's issuer          |

    `claims` are the further (name, value) pairs of a keyless certificate. `authorities` are the
    fingerprints (SHA-256 of the DER, in hex) of the caller's CA certificates that vouch for a
    signer of the kind "certificate".
    """

    subject: str
    issuer: str
    claims: tuple[tuple[str, str], ...] = ()
    kind: SignerKind = "identity"
    authorities: tuple[str, ...] = ()

    @property
    def who(self) -> tuple[str, str, str]:
        """Return what makes two signers the same: kind, subject and issuer."""
        return self.kind, self.subject, self.issuer

    def __str__(self) -> str:
        return f"{self.subject} ({self.issuer})"
