# SPDX-License-Identifier: Apache-2.0
"""The signer's certificate: its path to a trusted CA, its use, its certificate transparency."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from modelseal.errors import FormatError, Unverified, shown
from modelseal.formats import sct as sct_format
from modelseal.trust import fulcio, signature

if TYPE_CHECKING:
    from modelseal.formats.sct import Sct
    from modelseal.trust.anchors import Anchors, Authority, Log
    from modelseal.trust.signature import PublicKey

T = TypeVar("T", bound=x509.ExtensionType)
Path = tuple[x509.Certificate, ...]  # leaf first, root last

_CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


class Certified(NamedTuple):
    """A certificate that CAs of a trust root issued; whether in time is not looked at yet."""

    leaf: x509.Certificate
    key: PublicKey
    paths: tuple[tuple[Authority, Path], ...]


def check(der: bytes, anchors: Anchors, source: str) -> Certified:
    """Return the certificate `der` if `anchors`, from `source`, vouch for it, whenever it was used.

    Raises:
        FormatError, Unverified: the first of the checks below that fails.
    """
    leaf = load(der)
    key = key_of(leaf)
    paths = check_path(leaf, anchors.certificate_authorities, source)
    for _, path in paths:
        check_usage(path, FULCIO)
        check_transparency(path, anchors.ct_logs)
    return Certified(leaf, key, paths)


def check_path(
    leaf: x509.Certificate, authorities: tuple[Authority, ...], source: str
) -> tuple[tuple[Authority, Path], ...]:
    """Return the paths from `leaf` to roots of trusted CAs (RFC 5280 section 6), at least one.

    Raises:
        Unverified: there is none ("untrusted-certificate").
    """
    paths = tuple(
        (authority, path)
        for authority in authorities
        if (path := path_to(leaf, authority.chain, ca=_CA_POLICY, leaf_policy=_EE_POLICY))
        is not None
    )
    if not paths:
        raise Unverified(
            "untrusted-certificate",
            f"The certificate does not come from a CA in {shown(source)}.",
            "Name the instance that signed: --trusted-root, --trust-config or --instance.",
        )
    return paths


def check_times(certified: Certified, times: tuple[datetime, ...], source: str) -> None:
    """Check that certificate and CA were valid and trusted at all `times` ("hybrid model").

    RFC 5280 section 4.1.2.5; the Sigstore client specification wants a valid path at every trusted
    time. Only validities depend on the time, so the signatures were checked once.

    Raises:
        Unverified: the certificate was not valid ("certificate-expired"), or no CA of it was valid
            and trusted ("authority-expired").
    """
    if not all(is_valid(certified.leaf, time) for time in times):
        start, end = certified.leaf.not_valid_before_utc, certified.leaf.not_valid_after_utc
        raise Unverified(
            "certificate-expired",
            f"The signature was made outside the certificate's validity, {start} to {end}.",
            "Sign again; if this was just signed, check the clock of the instance.",
        )
    for authority, (_, *issuers) in certified.paths:
        if all(
            authority.period.covers(time) and all(is_valid(issuer, time) for issuer in issuers)
            for time in times
        ):
            return
    raise Unverified(
        "authority-expired",
        f"The CA was not trusted by {shown(source)} when the signature was made.",
    )


def load(der: bytes) -> x509.Certificate:
    """Return the certificate in `der`.

    Raises:
        FormatError: not a certificate ("bad-certificate").
    """
    try:
        return fulcio.load(der)
    except fulcio.UNREADABLE as error:
        raise FormatError("bad-certificate", "The bundle has no readable certificate.") from error


def check_rest(others: tuple[bytes, ...]) -> None:
    """Check that no root is among the certificates that a bundle has beside the signer's.

    They are never used: issuers come from the trusted root. A root in the bundle is what a client
    might take for one (sigstore_bundle.proto, `x509_certificate_chain`: "MUST NOT" be there).

    Raises:
        FormatError: a root certificate ("bad-bundle"), or what is none at all ("bad-certificate").
    """
    for der in others:
        found = load(der)
        if found.issuer == found.subject:
            raise FormatError("bad-bundle", "The bundle brings a root certificate of its own.")


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


def path_to(
    leaf: x509.Certificate,
    chain: Path,
    *,
    ca: verification.ExtensionPolicy,
    leaf_policy: verification.ExtensionPolicy,
) -> Path | None:
    """Return the path from `leaf` through `chain` to its root (RFC 5280 section 6), None if none.

    At some moment all of it is valid; whether it was at the right ones is the caller's to check.
    """
    # Not all of a chain need be on the path, and an issuer may have begun after its leaf.
    start = leaf.not_valid_before_utc
    latest = max(start, *(certificate.not_valid_before_utc for certificate in chain))
    return _path_at(start, leaf, chain, ca, leaf_policy) or _path_at(
        latest, leaf, chain, ca, leaf_policy
    )


def _path_at(
    at: datetime,
    leaf: x509.Certificate,
    chain: Path,
    ca: verification.ExtensionPolicy,
    leaf_policy: verification.ExtensionPolicy,
) -> Path | None:
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store(list(chain)))
        .time(at)
        .extension_policies(ca_policy=ca, ee_policy=leaf_policy)
        .build_client_verifier()
    )
    try:
        found = verifier.verify(leaf, []).chain
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError):
        return None
    # The path ends at the first certificate that the trust root names. What the root says above
    # that one must have been valid too.
    for certificate in chain[chain.index(found[-1]) + 1 :]:
        if certificate.subject == found[-1].issuer:
            found.append(certificate)
    return tuple(found)


def is_valid(certificate: x509.Certificate, time: datetime) -> bool:
    """Return whether `time` is in the validity of `certificate` (RFC 5280 section 4.1.2.5)."""
    return certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc


# A client certificate of the web is for client authentication; the usage is checked below instead.
_CA_POLICY = verification.ExtensionPolicy.webpki_defaults_ca().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, None
)
_EE_POLICY = verification.ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.ExtendedKeyUsage, verification.Criticality.NON_CRITICAL, None
)


class Profile(NamedTuple):
    """What a signer's certificate must say of its use; `may_be_silent` if it may say nothing."""

    may_be_silent: bool
    purposes: tuple[x509.ObjectIdentifier, ...]


# sigstore/fulcio, docs/certificate-specification.md
FULCIO = Profile(may_be_silent=False, purposes=(ExtendedKeyUsageOID.CODE_SIGNING,))
# RFC 5280, 4.2.1.3 and 4.2.1.12: a certificate that does not say what it is for is for anything.
OWN_CA = Profile(may_be_silent=True, purposes=_CODE_SIGNING)


def check_usage(path: Path, profile: Profile) -> None:
    """Check that the leaf is for digital signatures of code, and its CAs for issuing such.

    RFC 5280 sections 4.2.1.3 and 4.2.1.12.

    Raises:
        Unverified: it is for something else ("certificate-usage").
    """
    leaf, *issuers = path
    usage = _extension(leaf, x509.KeyUsage)
    if not (profile.may_be_silent if usage is None else usage.digital_signature):
        raise Unverified("certificate-usage", "The certificate is not for signing.")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if not (
        profile.may_be_silent
        if purposes is None
        else any(purpose in purposes for purpose in profile.purposes)
    ):
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
    is_rsa = isinstance(log.key, rsa.RSAPublicKey)
    algorithms = sct_format.SHA256_RSA if is_rsa else sct_format.SHA256_ECDSA
    if sct.log_id != log.log_id or sct.algorithms != algorithms:
        return False
    try:
        time = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=sct.timestamp)
    except OverflowError:
        return False
    if not log.period.covers(time):
        return False
    with suppress(Unverified):
        log.check(sct.signature, signed, "sha256")  # whatever the key (RFC 6962 2.1.4)
        return True
    return False
