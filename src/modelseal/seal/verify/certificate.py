# SPDX-License-Identifier: Apache-2.0
"""The signer's certificate: its path to a trusted CA, its use, its certificate transparency."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import sct as sct_format
from modelseal.seal import identity
from modelseal.seal.verify import signature

if TYPE_CHECKING:
    from modelseal.formats.sct import Sct
    from modelseal.seal.verify.anchors import Authority, Log
    from modelseal.seal.verify.signature import PublicKey

T = TypeVar("T", bound=x509.ExtensionType)
Path = tuple[x509.Certificate, ...]  # leaf first, root last

_CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


def load(der: bytes) -> x509.Certificate:
    """Return the certificate in `der`.

    Raises:
        FormatError: not a certificate ("bad-certificate").
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.extensions  # noqa: B018 - read now, so that nothing below has to be ready for it
    except identity.UNREADABLE as error:
        raise FormatError("bad-certificate", "The bundle has no readable certificate.") from error
    return certificate


def key_of(leaf: x509.Certificate) -> PublicKey:
    """Return the public key of `leaf`.

    Raises:
        FormatError: none that can be used ("bad-certificate", "unsupported-key").
    """
    try:
        return signature.accepted(leaf.public_key())
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "The certificate in the bundle has no readable key."
        raise FormatError("bad-certificate", message) from error


def check_validity(leaf: x509.Certificate, times: tuple[datetime, ...]) -> None:
    """Check that every trusted time lies in the validity of `leaf` (RFC 5280 section 4.1.2.5).

    Raises:
        Unverified: one does not ("certificate-expired").
    """
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not all(start <= time <= end for time in times):
        raise Unverified(
            "certificate-expired",
            f"The signature was made outside the certificate's validity, {start} to {end}.",
            "Sign again; if this was just signed, check the clock of the instance.",
        )


def check_path(
    leaf: x509.Certificate,
    times: tuple[datetime, ...],
    authorities: tuple[Authority, ...],
    source: str,
) -> Path:
    """Return the path from `leaf` to the root of a CA that is trusted at all `times`.

    RFC 5280 section 6; the Sigstore client specification wants it at every trusted time ("hybrid
    model"). Only validities depend on the time, so the signatures are checked once.

    Raises:
        Unverified: no CA issued it ("untrusted-certificate"), or one did that was not valid or
            not trusted then ("authority-expired").
    """
    at = times[0] if times else leaf.not_valid_before_utc
    paths = [
        (authority, path)
        for authority in authorities
        if (path := _path(leaf, authority, at)) is not None
    ]
    for authority, path in paths:
        if all(time in authority.period and _all_valid(path[1:], time) for time in times):
            return path
    if paths:
        raise Unverified(
            "authority-expired",
            f"The CA was not trusted by {shown(source)} when the signature was made.",
        )
    raise Unverified(
        "untrusted-certificate",
        f"The certificate does not come from a CA in {shown(source)}.",
        "Check that this is the trust root of the instance that signed.",
    )


def _path(leaf: x509.Certificate, authority: Authority, at: datetime) -> Path | None:
    verifier = (
        verification.PolicyBuilder()
        .store(_store(authority.chain))
        .time(at)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_EE_POLICY)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(leaf, []).chain
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError):
        return None
    # The path ends at the first certificate that the trust root names. What the root says above
    # that one must have been valid too.
    last = authority.chain.index(found[-1])
    return (*found, *authority.chain[last + 1 :])


def _all_valid(certificates: Path, time: datetime) -> bool:
    return all(c.not_valid_before_utc <= time <= c.not_valid_after_utc for c in certificates)


@lru_cache(maxsize=64)
def _store(chain: Path) -> verification.Store:
    return verification.Store(list(chain))


# A client certificate of the web is for client authentication; the usage is checked below instead.
_CA_POLICY = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, None
)
_EE_POLICY = verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, None
)


def check_usage(path: Path) -> None:
    """Check that the leaf is for digital signatures of code, and its CAs for issuing such.

    RFC 5280 sections 4.2.1.3 and 4.2.1.12; sigstore/fulcio, docs/certificate-specification.md.

    Raises:
        Unverified: it is for something else ("certificate-usage").
    """
    leaf, *issuers = path
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise Unverified("certificate-usage", "The certificate is not for signing.")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise Unverified("certificate-usage", "The certificate is not for signing code.")
    for issuer in issuers[:-1]:
        allowed = _extension(issuer, x509.ExtendedKeyUsage)
        if allowed is not None and not any(oid in allowed for oid in _CODE_SIGNING):
            raise Unverified("certificate-usage", "The CA is not for certificates to sign code.")


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def check_transparency(path: Path, logs: tuple[Log, ...]) -> None:
    """Check that a trusted CT log promised to publish the leaf (RFC 6962 sections 3.2 and 3.3).

    One embedded timestamp of a log that was trusted at that time will do.

    Raises:
        FormatError: the list of timestamps cannot be read ("bad-sct").
        Unverified: there is none that is good ("sct-invalid").
    """
    leaf, issuer = path[:2]
    found = _extension(leaf, x509.PrecertificateSignedCertificateTimestamps)
    if found is not None:
        # The issuer is the one of the checked path: names can be shared, signatures cannot.
        issuer_key_hash = sha256(signature.spki(key_of(issuer))).digest()
        precertificate = leaf.tbs_precertificate_bytes
        for sct in sct_format.parse_sct_list(found.public_bytes()):
            signed = sct_format.precert_leaf(
                sct.timestamp, issuer_key_hash, precertificate, sct.extensions
            )
            if any(_is_promise(sct, signed, log) for log in logs):
                return
    raise Unverified("sct-invalid", "The certificate was not seen by a trusted CT log.")


def _is_promise(sct: Sct, signed: bytes, log: Log) -> bool:
    if sct.log_id != log.log_id:
        return False
    try:
        time = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=sct.timestamp)
    except OverflowError:
        return False
    if time not in log.period:
        return False
    with suppress(Unverified):
        log.check(sct.signature, signed)
        return True
    return False
