# SPDX-License-Identifier: Apache-2.0
"""Timestamps (RFC 3161), of which every field can be chosen before it is signed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from forging import issuing, keys


@dataclass(frozen=True)
class Stamp:
    """One timestamp of `tsa` over `over` (by default the signature), `at` seconds from T0."""

    tsa: str = "honest"
    shape: tuple[tuple[str, Any], ...] = ()
    kind: str = "P256"
    at: float = 5
    over: bytes | None = None
    algorithm: str = "sha256"
    said_hash: str = ""  # another name for the imprint's hash
    certificates: tuple[str, ...] = ("signer",)
    nonce: int | None = None
    accuracy: int | None = None
    ordering: bool = False
    policy: str = "1.3.6.1.4.1.57264.2"
    status: str = "granted"
    attributes: tuple[str, ...] = ("content_type", "message_digest", "signing_certificate_v2")
    digest_of: bytes | None = None  # what the signed attribute says of the content
    content_type: str = "tst_info"
    tail: bytes = b""
    twice: bool = False  # two signers in one token

    @lru_cache(maxsize=512)  # noqa: B019 - a value, kept for it takes 5 ms to make
    def encode(self, signature: bytes) -> bytes:
        """Return the DER TimeStampResp."""
        authority = issuing.ca(self.tsa, "tsa", self.kind, **dict(self.shape))
        info = self._info(signature if self.over is None else self.over)
        chain = {"signer": authority.chain[0], "root": authority.chain[1],
                 "stranger": issuing.ca("attacker", "tsa").chain[0]}  # fmt: skip
        signer = self._signer(authority, info)
        signed: dict[str, Any] = {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": self.content_type, "content": cms.ParsableOctetString(info),
            },
            "signer_infos": [signer] * (2 if self.twice else 1),
        }  # fmt: skip
        if self.certificates:
            signed["certificates"] = [_choice(chain[one]) for one in self.certificates]
        token = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})
        status = {"status": self.status}
        return tsp.TimeStampResp({"status": status, "time_stamp_token": token}).dump() + self.tail

    def _info(self, over: bytes) -> bytes:
        imprint = {
            "hash_algorithm": {"algorithm": self.said_hash or self.algorithm},
            "hashed_message": hashlib.new(self.algorithm, over).digest(),
        }
        info: dict[str, Any] = {
            "version": "v1", "policy": self.policy, "message_imprint": imprint,
            "serial_number": 1 << 80, "gen_time": issuing.at(self.at),
        }  # fmt: skip
        if self.nonce is not None:
            info["nonce"] = self.nonce
        if self.accuracy is not None:
            info["accuracy"] = {"seconds": self.accuracy}
        if self.ordering:
            info["ordering"] = True
        return tsp.TSTInfo(info).dump()

    def _signer(self, authority: issuing.Ca, info: bytes) -> cms.SignerInfo:
        certificate = _asn1(authority.chain[0])
        essence = {"cert_hash": hashlib.sha256(certificate.dump()).digest()}
        values = {
            "content_type": "tst_info",
            "message_digest": hashlib.sha256(
                info if self.digest_of is None else self.digest_of
            ).digest(),
            "signing_certificate_v2": tsp.SigningCertificateV2({"certs": [essence]}),
            "signing_time": cms.Time({"utc_time": issuing.at(self.at)}),
        }
        attributes = cms.CMSAttributes(
            [cms.CMSAttribute({"type": one, "values": [values[one]]}) for one in self.attributes]
        )
        signer: dict[str, Any] = {
            "version": "v1",
            "sid": cms.IssuerAndSerialNumber(
                {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
        }
        if self.attributes:
            signer["signed_attrs"] = attributes
        signer["signature"] = keys.sign(
            authority.key, attributes.dump() if self.attributes else info
        )
        return cms.SignerInfo(signer)


def _asn1(certificate: Any) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _choice(certificate: Any) -> cms.CertificateChoices:
    return cms.CertificateChoices("certificate", _asn1(certificate))
