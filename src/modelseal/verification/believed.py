# SPDX-License-Identifier: Apache-2.0
"""Whose signatures the caller believes, before any rule says whether that is enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from cryptography import x509

    from modelseal.trust.signature import PublicKey

Checks = Literal["modelseal", "sigstore", "both"]
CHECKS: tuple[Checks, ...] = ("modelseal", "sigstore", "both")


class TrustedKey(NamedTuple):
    """A public key; `logged` says that its signatures are in a log, if the trusted root has one."""

    key: PublicKey
    logged: bool = True


class TrustedAuthority(NamedTuple):
    """CA certificates of which one must have issued the signer's certificate; `logged` as above."""

    roots: tuple[x509.Certificate, ...]
    logged: bool = True


class Believed(NamedTuple):
    """Every key that may have signed.

    With `identities` the CAs of the trusted root say whose a key is. `checks` says whose checks of
    such a signature count: ours, those of sigstore-python, or both at once.
    """

    identities: bool = False
    keys: tuple[TrustedKey, ...] = ()
    authorities: tuple[TrustedAuthority, ...] = ()
    checks: Checks = "modelseal"
