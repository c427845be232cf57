# SPDX-License-Identifier: Apache-2.0
"""The path from a signer's certificate to a CA that the caller trusts."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from modelseal.errors import Unverified, shown
from modelseal.trust.signer import SUBJECT_NAME, Signer


def _may_issue(
    _policy: verification.Policy, _ca: x509.Certificate, usage: x509.KeyUsage | None
) -> None:
    """Check that a CA that says what its key is for says so of certificates (RFC 5280 6.1.4 n).

    One that `openssl req -x509` makes does not say.

    Raises:
        ValueError: its key is for something else.
    """
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("the CA is not for certificates")


# Certificates of a private CA are no web certificates: no subject alternative name is needed.
_LEAF = verification.ExtensionPolicy.permit_all()
_CA = (
    verification.ExtensionPolicy.webpki_defaults_ca()
    .may_be_present(x509.ExtendedKeyUsage, verification.Criticality.AGNOSTIC, None)
    .may_be_present(x509.KeyUsage, verification.Criticality.AGNOSTIC, _may_issue)
)


Path = tuple[x509.Certificate, ...]  # leaf first, root last


def check_times(
    chain: Path, roots: Path, times: tuple[datetime, ...]
) -> tuple[Path, datetime | None]:
    """Return the path from the leaf to one of `roots`, all of it valid at all `times`.

    Without a time that somebody trusted vouches for, it must be valid now: then the signature
    verifies until the first certificate of the path ends, which is returned too.

    Raises:
        Unverified: as `check_path`.
    """
    if not times:
        path = check_path(chain, roots, datetime.now(UTC))
        return path, min(one.not_valid_after_utc for one in path)
    path, *_ = [check_path(chain, roots, time) for time in times]
    return path, None


def signer_of(path: Path) -> Signer:
    """Return whose certificate it is at the start of `path`, and which CA vouches for that."""
    leaf, root = path[0], path[-1]
    subject = leaf.subject.rfc4514_string() or f"serial {leaf.serial_number:x}"
    fingerprint = sha256(root.public_bytes(Encoding.DER)).hexdigest()
    issuer = leaf.issuer.rfc4514_string()
    claims = tuple((SUBJECT_NAME, name) for name in _names(leaf))
    return Signer(subject, issuer, claims, "certificate", authorities=(fingerprint,))


def _names(leaf: x509.Certificate) -> list[str]:
    """Return the e-mail addresses, URIs and host names that the CA certified (RFC 5280 4.2.1.6)."""
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    kinds = (x509.RFC822Name, x509.UniformResourceIdentifier, x509.DNSName)
    return [name.value for name in names if isinstance(name, kinds)]


def check_path(chain: Path, roots: Path, at: datetime) -> Path:
    """Return the path from the leaf to one of `roots`, all of it valid `at` that time (RFC 5280 6).

    Raises:
        Unverified: expired, or no path ("certificate-expired", "untrusted-certificate").
    """
    leaf, *between = chain
    for one in chain:
        if not _is_valid(one, at):
            raise _expired("A certificate of the signer", one)
    if leaf in roots:
        return (leaf,)
    believed = [one for one in roots if _is_valid(one, at)]
    if not believed:
        raise _expired("The CA that was given", roots[0])
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(believed))
        .time(at)
        .extension_policies(ca_policy=_CA, ee_policy=_LEAF)
        .build_client_verifier()
    )
    try:
        return tuple(verifier.verify(leaf, between).chain)
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError) as error:
        raise Unverified(
            "untrusted-certificate",
            "The certificate does not come from the CA that was given.",
            shown(str(error)),
        ) from error


def _is_valid(one: x509.Certificate, at: datetime) -> bool:
    return one.not_valid_before_utc <= at <= one.not_valid_after_utc


def _expired(what: str, one: x509.Certificate) -> Unverified:
    return Unverified(
        "certificate-expired",
        f"{what} is valid from {one.not_valid_before_utc} to {one.not_valid_after_utc}, and no "
        "trusted time says that it was signed then.",
        "Sign again with a valid certificate, or with a timestamp.",
    )
