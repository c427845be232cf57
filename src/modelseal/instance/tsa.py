# SPDX-License-Identifier: Apache-2.0
"""The timestamp authority (RFC 3161): signs the time at which it saw a digest."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.errors import FormatError, shown
from modelseal.formats.strict import b64decode, member, optional
from modelseal.instance.refused import Refused

if TYPE_CHECKING:
    from modelseal.instance.keys import Chain

T = TypeVar("T")

_POLICY = "1.3.6.1.4.1.57264.2"  # Sigstore's timestamp policy
_DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_MAX_NONCE_BITS = 256
# What asn1crypto may raise on bytes that are not what they should be.
_ASN1_ERRORS = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


@dataclass(frozen=True)
class TimestampAuthority:
    """Signs with P-256 and SHA-256."""

    key: ec.EllipticCurvePrivateKey
    chain: Chain

    def respond(self, query: bytes, now: float) -> bytes:
        """Return the DER TimeStampResp to the DER TimeStampReq `query`.

        Raises:
            FormatError: not a request that this authority answers.
            Refused: the clock is outside the validity of the signer.
        """
        request = _parse(query)
        signer = self.chain[0]
        moment = datetime.fromtimestamp(int(now), UTC)
        if not signer.not_valid_before_utc <= moment <= signer.not_valid_after_utc:
            raise Refused(503, "clock", "The clock is outside the validity of this authority.")
        info: dict[str, Any] = {
            "version": "v1",
            "policy": _POLICY,
            "message_imprint": request["message_imprint"],
            "serial_number": secrets.randbits(120) | 1 << 120,
            "gen_time": moment,
        }
        if request["nonce"].native is not None:  # absent stays absent: it is not a void nonce
            info["nonce"] = request["nonce"].native
        token = self._signed(
            tsp.TSTInfo(info), moment, with_certificate=bool(request["cert_req"].native)
        )
        response = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token})
        return bytes(response.dump())

    def chain_pem(self) -> str:
        """Return the certificate chain, signer first."""
        return "".join(
            certificate.public_bytes(serialization.Encoding.PEM).decode()
            for certificate in self.chain
        )

    @cached_property
    def _certificate(self) -> asn1_x509.Certificate:
        der = self.chain[0].public_bytes(serialization.Encoding.DER)
        return asn1_x509.Certificate.load(der)

    @cached_property
    def _signing_certificate(self) -> cms.CMSAttribute:
        """Return the attribute that binds the token to the certificate (RFC 5816)."""
        essence = {
            "hash_algorithm": {"algorithm": "sha256"},
            "cert_hash": sha256(self._certificate.dump()).digest(),
            "issuer_serial": {
                "issuer": [asn1_x509.GeneralName("directory_name", self._certificate.issuer)],
                "serial_number": self._certificate.serial_number,
            },
        }
        return _attribute("signing_certificate_v2", tsp.SigningCertificateV2({"certs": [essence]}))

    def _signed(
        self, info: tsp.TSTInfo, moment: datetime, *, with_certificate: bool
    ) -> cms.ContentInfo:
        content = info.dump()
        attributes = _settled(
            cms.CMSAttributes(
                [
                    _attribute("content_type", "tst_info"),
                    _attribute("signing_time", cms.Time({"utc_time": moment})),
                    _attribute("message_digest", sha256(content).digest()),
                    self._signing_certificate,
                ]
            )
        )
        signer = {
            "version": "v1",
            "sid": cms.IssuerAndSerialNumber(
                {
                    "issuer": self._certificate.issuer,
                    "serial_number": self._certificate.serial_number,
                }
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
        signed = {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": cms.ParsableOctetString(content),
            },
            "signer_infos": [_settled(cms.SignerInfo(signer))],
        }
        if with_certificate:
            signed["certificates"] = [cms.CertificateChoices("certificate", self._certificate)]
        data = _settled(cms.SignedData(signed))
        return _settled(cms.ContentInfo({"content_type": "signed_data", "content": data}))


def query_of_json(asked: dict[str, Any]) -> bytes:
    """Return the DER query that `asked` means: the JSON form of the Sigstore timestamp authority.

    sigstore-js sends this form only: `artifactHash` in base64, `hashAlgorithm`, and optionally
    `certificates` and `nonce`.

    Raises:
        FormatError: a member of the wrong shape, or one that is not known.
    """
    what = "timestamp query"
    unknown = asked.keys() - {"artifactHash", "hashAlgorithm", "certificates", "nonce"}
    if unknown:
        raise FormatError(
            "bad-timestamp-query", f"The {what} has an unknown member '{shown(min(unknown), 40)}'."
        )
    algorithm = member(asked, "hashAlgorithm", str, what=what).lower()
    if algorithm not in _DIGEST_SIZES:
        raise FormatError("bad-digest", "A timestamp is for a SHA-256, SHA-384 or SHA-512 digest.")
    digest = b64decode(member(asked, "artifactHash", str, what=what), what="artifactHash")
    query: dict[str, Any] = {
        "version": "v1",
        "message_imprint": {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": digest},
        "cert_req": optional(asked, "certificates", bool, what=what) or False,
    }
    nonce = optional(asked, "nonce", int, what=what)
    if nonce is not None:  # absent stays absent: it is not a void nonce
        query["nonce"] = nonce
    return bytes(tsp.TimeStampReq(query).dump())


def _parse(query: bytes) -> tsp.TimeStampReq:
    try:
        request = tsp.TimeStampReq.load(query, strict=True)
        fields = request.native  # parses every field: asn1crypto is lazy
        imprint = fields["message_imprint"]
        algorithm = imprint["hash_algorithm"]["algorithm"]
        digest, nonce, version = imprint["hashed_message"], fields["nonce"], fields["version"]
        policy, extensions = fields["req_policy"], fields["extensions"]
    except _ASN1_ERRORS as error:
        raise FormatError("bad-timestamp-query", "The timestamp query cannot be read.") from error
    if version != "v1" or policy not in {None, _POLICY} or extensions:
        raise FormatError(
            "bad-timestamp-query", "The timestamp query asks for another version or policy."
        )
    if len(digest) != _DIGEST_SIZES.get(algorithm):
        raise FormatError(
            "bad-digest", "A timestamp is for a SHA-256, SHA-384 or SHA-512 digest of its length."
        )
    if nonce is not None and nonce.bit_length() > _MAX_NONCE_BITS:
        raise FormatError("bad-timestamp-query", "The nonce of the timestamp query is too long.")
    return request


def _attribute(kind: str, value: object) -> cms.CMSAttribute:
    return _settled(cms.CMSAttribute({"type": kind, "values": [value]}))


def _settled(value: T) -> T:
    """Return `value` read back from its bytes.

    One that was just built encodes itself anew, with all that is in it, each time that something
    around it is encoded: that made a timestamp take 15 ms instead of 2.
    """
    return type(value).load(value.dump())  # type: ignore[attr-defined,no-any-return] # asn1crypto has no types
