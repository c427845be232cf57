# SPDX-License-Identifier: Apache-2.0
"""A trusted root, ready to check with: keys and certificates loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from modelseal.errors import FormatError, ModelSealError, shown
from modelseal.formats import note, trusted_root
from modelseal.trust import fulcio, signature

if TYPE_CHECKING:
    from cryptography import x509

    from modelseal.formats.trusted_root import Period
    from modelseal.trust.signature import HashName, Padding, PublicKey
    from modelseal.trust.trust_root import TrustRoot

# `PublicKeyDetails` of protobuf-specs, sigstore_common.proto: kind of key, padding.
_KEY_DETAILS: dict[str, tuple[type, Padding]] = {
    "PKIX_ECDSA_P256_SHA_256": (ec.EllipticCurvePublicKey, "pkcs1v15"),
    "PKIX_ECDSA_P384_SHA_384": (ec.EllipticCurvePublicKey, "pkcs1v15"),
    "PKIX_ECDSA_P521_SHA_512": (ec.EllipticCurvePublicKey, "pkcs1v15"),
    "PKIX_ED25519": (ed25519.Ed25519PublicKey, "pkcs1v15"),
    "PKCS1_RSA_PKCS1V5": (rsa.RSAPublicKey, "pkcs1v15"),  # CT log of staging until 2022
    "PKIX_RSA_PKCS1V15_2048_SHA256": (rsa.RSAPublicKey, "pkcs1v15"),
    "PKIX_RSA_PKCS1V15_3072_SHA256": (rsa.RSAPublicKey, "pkcs1v15"),
    "PKIX_RSA_PKCS1V15_4096_SHA256": (rsa.RSAPublicKey, "pkcs1v15"),
    "PKIX_RSA_PSS_2048_SHA256": (rsa.RSAPublicKey, "pss"),
    "PKIX_RSA_PSS_3072_SHA256": (rsa.RSAPublicKey, "pss"),
    "PKIX_RSA_PSS_4096_SHA256": (rsa.RSAPublicKey, "pss"),
}


class Log(NamedTuple):
    """A log whose signatures are believed; `host` is the host name of its base URL.

    Its checkpoints name it by one of the `hints`: the start of its id, or of one for checkpoints.
    """

    log_id: bytes
    host: str
    key: PublicKey
    padding: Padding
    period: Period
    hints: frozenset[bytes]

    def check(self, signed: bytes, message: bytes, hash_name: HashName | None = None) -> None:
        """Check that the log signed `message`, by the hash of its key unless another is named.

        Raises:
            Unverified: it did not ("signature-invalid").
        """
        names = signature.hash_names(self.key)  # none for Ed25519, which signs messages
        content = signature.hashed(message, hash_name or names[0]) if names else message
        signature.check_signature(self.key, signed, content, self.padding)


class Authority(NamedTuple):
    """Certificates of a CA or a timestamp authority, root last, and when it may vouch."""

    uri: str
    chain: tuple[x509.Certificate, ...]
    period: Period


class Anchors(NamedTuple):
    """Everything that is believed."""

    logs: tuple[Log, ...]
    ct_logs: tuple[Log, ...]
    certificate_authorities: tuple[Authority, ...]
    timestamp_authorities: tuple[Authority, ...]


def load(trust: TrustRoot) -> Anchors:
    """Return what `trust` asks to believe.

    A key of a kind that is not known here is left out: it is not believed. Anything else that
    cannot be read makes the whole root unusable.

    Raises:
        FormatError: it cannot be used ("trust-root").
    """
    try:
        root = trust.parsed or trusted_root.parse(trust.json)
        return Anchors(
            logs=_logs(root.logs),
            ct_logs=_logs(root.ct_logs),
            certificate_authorities=_authorities(root.certificate_authorities),
            timestamp_authorities=_authorities(root.timestamp_authorities),
        )
    except ModelSealError as error:
        message = f"The trusted root from {shown(trust.source)} cannot be used."
        raise FormatError("trust-root", message, error.message) from error


def _logs(keys: tuple[trusted_root.LogKey, ...]) -> tuple[Log, ...]:
    return tuple(_log(key) for key in keys if key.key_details in _KEY_DETAILS)


def _log(log: trusted_root.LogKey) -> Log:
    kind, padding = _KEY_DETAILS[log.key_details]
    key = signature.load_der(log.key)
    if not isinstance(key, kind) or (
        kind is ec.EllipticCurvePublicKey and log.key_details not in signature.key_details(key)
    ):
        raise FormatError("trust-root", f"A key is not {log.key_details}, as it says.")
    try:
        host = urlsplit(log.base_url).hostname or ""
    except ValueError as error:
        raise FormatError("trust-root", "The base URL of a log is no URL.") from error
    ids = (log.log_id, log.checkpoint_id or log.log_id)
    hints = frozenset(one[: note.KEY_HASH_SIZE] for one in ids)
    return Log(log.log_id, host, key, padding, log.period, hints)


def _authorities(authorities: tuple[trusted_root.Authority, ...]) -> tuple[Authority, ...]:
    if not all(one.chain for one in authorities):
        raise FormatError("trust-root", "An authority has no certificates.")
    return tuple(
        Authority(one.uri, tuple(_certificate(der) for der in one.chain), one.period)
        for one in authorities
    )


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return fulcio.load(der)
    except fulcio.UNREADABLE as error:
        raise FormatError("trust-root", "A certificate cannot be read.") from error
