# SPDX-License-Identifier: Apache-2.0
"""The certificate authority: ten-minute certificates that bind a key to an identity.

The API is Fulcio's version 2, the extensions those of Fulcio's OID registry (1.3.6.1.4.1.57264.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from asn1crypto import core
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from modelseal.errors import FormatError, shown
from modelseal.formats.sct import format_sct_list
from modelseal.formats.strict import b64decode, member
from modelseal.instance import client_keys, pki, tokens
from modelseal.instance.claims import Named
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from modelseal.instance.client_keys import PublicKey
    from modelseal.instance.ctlog import CtLog
    from modelseal.instance.keys import Chain
    from modelseal.instance.upstream import Upstream

_LIFETIME = timedelta(minutes=10)
_ARC = "1.3.6.1.4.1.57264.1."
_ISSUER_V1, _ISSUER_V2 = 1, 8
_RAW_UP_TO = 6  # later ones are DER UTF8Strings
_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_WHAT = "certificate request"


@dataclass(frozen=True)
class CertificateAuthority:
    """Issues to whoever brings a token of an issuer that is believed and proves to hold the key.

    Those are our own, and the `upstream` ones.
    """

    key: ec.EllipticCurvePrivateKey
    chain: Chain
    oidc_key: rsa.RSAPrivateKey
    issuer: str
    ct_log: CtLog
    upstream: Upstream | None = None

    def sign(self, request: dict[str, Any], bearer: str | None, now: float) -> list[str]:
        """Return the PEM chain (leaf first) for a Fulcio v2 signing certificate request.

        Raises:
            Refused: no good token, or no proof that its bearer holds the key.
            FormatError: the request is not of the right form.
        """
        named = self._named(bearer or _token_in(request), now)
        key = _proven_key(request, named.subject)
        leaf = self._issue(key, named, now)
        return [_pem(certificate) for certificate in (leaf, *self.chain)]

    def _named(self, token: str, now: float) -> Named:
        upstream = None if self.upstream is None else self.upstream.of_token(token)
        if upstream is not None:
            return upstream.named(token, now)
        identity = tokens.check(token, self.oidc_key, self.issuer, now=now)
        return Named(identity, identity.value, self.issuer)

    def trust_bundle(self) -> list[str]:
        """Return the PEM certificates that leaves chain to, intermediate first."""
        return [_pem(certificate) for certificate in self.chain]

    def _issue(self, key: PublicKey, named: Named, now: float) -> x509.Certificate:
        issuer = self.chain[0]
        # Whole seconds, rounded down: timestamp tokens have no fractions and must not be earlier.
        start = datetime.fromtimestamp(int(now), UTC)
        end = start + _LIFETIME
        if start < issuer.not_valid_before_utc or end > issuer.not_valid_after_utc:
            raise Refused(503, "clock", "The clock is outside the validity of this CA.")
        builder = self._builder(key, named, start, end)
        precertificate = builder.sign(self.key, hashes.SHA256())
        sct = self.ct_log.add(precertificate.tbs_certificate_bytes, issuer, now)
        scts = x509.UnrecognizedExtension(_SCT_LIST, format_sct_list([sct]))
        # Added last: verifiers cut it out of the end and must find the bytes that the log signed.
        return builder.add_extension(scts, critical=False).sign(self.key, hashes.SHA256())

    def _builder(
        self, key: PublicKey, named: Named, start: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        issuer, identity = self.chain[0], named.identity
        name: x509.GeneralName = (
            x509.RFC822Name(identity.value)
            if identity.is_email
            else x509.UniformResourceIdentifier(identity.value)
        )
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (pki.key_usage(certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
            # Critical because the subject is empty (RFC 5280 section 4.2.1.6).
            (x509.SubjectAlternativeName([name]), True),
            *((_claim(number, value), False) for number, value in (
                (_ISSUER_V1, named.issuer), (_ISSUER_V2, named.issuer), *named.extensions,
            )),
        ]  # fmt: skip
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder


def _claim(number: int, value: str) -> x509.UnrecognizedExtension:
    raw = value.encode() if number <= _RAW_UP_TO else core.UTF8String(value).dump()
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_ARC}{number}"), raw)


def _token_in(request: dict[str, Any]) -> str:
    if "credentials" not in request:
        raise Refused(
            401, "no-token", "The request has no identity token.", "Send Authorization: Bearer."
        )
    credentials = member(request, "credentials", dict, what=_WHAT)
    return member(credentials, "oidcIdentityToken", str, what=_WHAT)


def _proven_key(request: dict[str, Any], subject: str) -> PublicKey:
    """Return the key of the request, its holder having signed something with it."""
    forms = [name for name in ("certificateSigningRequest", "publicKeyRequest") if name in request]
    if len(forms) != 1:
        raise FormatError(
            "bad-request", "Send either a certificateSigningRequest or a publicKeyRequest."
        )
    if forms == ["certificateSigningRequest"]:
        pem = b64decode(member(request, forms[0], str, what=_WHAT), what="signing request")
        return _key_of_csr(pem)
    form = member(request, "publicKeyRequest", dict, what=_WHAT)
    # publicKey.algorithm is a hint that clients spell in many ways; the key itself says it.
    pem = member(member(form, "publicKey", dict, what=_WHAT), "content", str, what=_WHAT).encode(
        errors="replace"  # JSON can spell half a character; no key has one
    )
    proof = b64decode(member(form, "proofOfPossession", str, what=_WHAT), what="proof")
    key = client_keys.load_pem(pem)
    try:
        client_keys.verify_message(key, proof, subject.encode())
    except InvalidSignature as error:
        raise Refused(
            400, "bad-proof", "The proof of possession is not a signature of the token's subject."
        ) from error
    return key


def _key_of_csr(pem: bytes) -> PublicKey:
    try:
        csr = x509.load_pem_x509_csr(pem)
        key = client_keys.accepted(csr.public_key())
        weak = csr.signature_hash_algorithm is not None and csr.signature_hash_algorithm.name in {
            "md5", "sha1",
        }  # fmt: skip
        if weak or not csr.is_signature_valid:
            raise Refused(400, "bad-proof", "The signing request is not signed by its key.")
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise FormatError(
            "bad-csr", f"The signing request cannot be read: {shown(str(error))}."
        ) from error
    return key


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
