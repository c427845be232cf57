# SPDX-License-Identifier: Apache-2.0
"""How a signer's key becomes trusted: the one thing in which the three kinds of signers differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from modelseal.errors import FormatError, Unverified
from modelseal.formats import dsse
from modelseal.trust import keys
from modelseal.trust.signer import Signer
from modelseal.verification.checks import key_hint

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from modelseal.formats.bundle import Bundle
    from modelseal.trust.signature import PublicKey
    from modelseal.verification.believed import TrustedAuthority, TrustedKey
    from modelseal.verification.checks.certificate import Certified

WhenLogged = Literal["always", "if-named", "never"]

KEY_ISSUER = "public key"  # stands for the issuer where a key itself is trusted


class Confirmed(NamedTuple):
    """Who owns a key, and until when that can be said; None if for ever."""

    signer: Signer
    until: datetime | None = None


class Vouched(NamedTuple):
    """A key that somebody trusted vouches for.

    `confirm` refuses unless they did so at all of the given times, or now if there are none.
    `logged` says when a log must have seen the signature: if the trusted root names one, or always.
    `certificate` is in DER; with `keyless` it is Fulcio's, and needs a trusted time.
    """

    key: PublicKey
    confirm: Callable[[tuple[datetime, ...]], Confirmed]
    certificate: bytes | None = None
    keyless: bool = False
    logged: WhenLogged = "if-named"
    notes: tuple[str, ...] = ()


def by_key(bundle: Bundle, trusted: TrustedKey) -> Vouched:
    """Return the key that the caller believes, if `bundle` does not name another.

    Raises:
        Unverified: it does ("key-mismatch").
    """
    is_statement = isinstance(bundle.content, dsse.Envelope)
    notes = key_hint.check(bundle, trusted.key) if is_statement else ()
    confirmed = Confirmed(Signer(f"sha256:{keys.hints(trusted.key)[0]}", KEY_ISSUER, kind="key"))
    return Vouched(trusted.key, lambda _: confirmed, logged=_when(trusted), notes=notes)


def by_identity(
    bundle: Bundle, certify: Callable[[bytes], tuple[Certified, Signer]], source: str
) -> Vouched:
    """Return the key in the certificate, if `certify` finds that CAs of the root, `source`, do.

    Raises:
        FormatError, Unverified: not a keyless signature, or the first check that fails.
    """
    from modelseal.verification.checks import certificate  # noqa: PLC0415 - X.509, not for keys

    _check_keyless_shape(bundle)
    certificate.check_rest(bundle.certificates[1:])
    certified, signer = certify(bundle.certificates[0])

    def confirm(times: tuple[datetime, ...]) -> Confirmed:
        certificate.check_times(certified, times, source)
        return Confirmed(signer)  # there is always a trusted time

    return Vouched(certified.key, confirm, bundle.certificates[0], keyless=True, logged="always")


def _check_keyless_shape(bundle: Bundle) -> None:
    """Check that the parts of the bundle go together (sigstore_bundle.proto).

    Raises:
        FormatError: not a certificate and a log entry, or not those of its version.
    """
    if not bundle.certificates or len(bundle.entries) != 1:
        raise not_keyless(bundle)
    if bundle.version == "0.3" and bundle.chained:
        raise FormatError("bad-bundle", "A bundle of version 0.3 has one certificate, no chain.")
    if bundle.version == "0.1" and bundle.entries[0].promise is None:
        raise FormatError("bad-bundle", "A bundle of version 0.1 has a promise of the log.")


def by_authority(bundle: Bundle, trusted: TrustedAuthority) -> Vouched:
    """Return the key in the certificate, if a CA that the caller believes issued it.

    Raises:
        FormatError, Unverified: not a signature of this kind, or the first check that fails.
    """
    if isinstance(bundle.content, dsse.Envelope) and not bundle.chained:
        # Spec 11.1: one certificate is of the method sigstore, which has log entries.
        raise Unverified(
            "not-by-certificate",
            "The bundle was signed by an identity, not with a certificate of one's own CA.",
            "Verify it with --identity and --issuer.",
        )
    from modelseal.verification.checks import authority, certificate  # noqa: PLC0415 - as above

    chain = tuple(certificate.load(der) for der in bundle.certificates)
    key = certificate.key_of(chain[0])

    def confirm(times: tuple[datetime, ...]) -> Confirmed:
        path, until = authority.check_times(chain, trusted.roots, times)
        certificate.check_usage(path, certificate.OWN_CA)
        return Confirmed(authority.signer_of(path), until)

    return Vouched(key, confirm, bundle.certificates[0], logged=_when(trusted))


def _when(trusted: TrustedKey | TrustedAuthority) -> WhenLogged:
    return "if-named" if trusted.logged else "never"


def not_keyless(bundle: Bundle) -> FormatError:
    """Return the refusal of a bundle that no identity signed, or not in the keyless way."""
    entries = len(bundle.entries)
    if not bundle.certificates:
        message = "The bundle was signed with a key, not by an identity."
        hint = "Verify it with --key."
    elif not entries:
        message = "The bundle has no log entry, and every signature by an identity has one."
        hint = "If a CA of your own certified the signer, verify it with --certificate-chain."
    else:
        message = f"The bundle has {entries} log entries, and a signature by an identity has one."
        hint = "Sign the model again with: modelseal sign"
    return FormatError("not-keyless", message, hint)
