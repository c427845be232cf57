# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities, honest and not, and the leaves that they issue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from forging import keys
from modelseal.formats import sct as sct_format

T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)  # when everything happens
ALICE = "alice@example.com"
ISSUER = "https://issuer.example"
ARC = "1.3.6.1.4.1.57264.1."
SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
LIFETIME = 600  # seconds
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{one: one in names for one in _USAGES})


@dataclass(frozen=True)
class Ca:
    """A root and what it issued; `key` is that of the first certificate of the chain."""

    key: Any
    chain: tuple[x509.Certificate, ...]


@cache
def ca(owner: str, purpose: str = "ca", kind: str = "P256", **shape: Any) -> Ca:
    """Return the CA (or timestamp authority) of `owner`; all of them bear the same names."""
    top, mine = keys.key("P256", f"{owner} {purpose} root"), keys.key(kind, f"{owner} {purpose}")
    is_ca = purpose == "ca"
    root = _certificate(
        f"{purpose} root", f"{purpose} root", top.public_key(), top, is_ca=True,
        uses=("key_cert_sign", "crl_sign"),
    )  # fmt: skip
    issued = _certificate(
        purpose, f"{purpose} root", mine.public_key(), top, is_ca=is_ca,
        uses=("key_cert_sign", "crl_sign") if is_ca else ("digital_signature",),
        purposes=(ExtendedKeyUsageOID.CODE_SIGNING,) if is_ca
        else (ExtendedKeyUsageOID.TIME_STAMPING,), **shape,
    )  # fmt: skip
    return Ca(mine, (issued, root))


def _certificate(
    subject: str, issuer: str, key: Any, signer: Any, *, is_ca: bool, uses: tuple[str, ...],
    purposes: tuple[x509.ObjectIdentifier, ...] = (), days: tuple[int, int] = (-300, 3000),
    critical: bool | None = None,
) -> x509.Certificate:  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key)
        .serial_number(int.from_bytes(sha256(subject.encode()).digest()[:8]) >> 1)
        .not_valid_before(T0 + timedelta(days=days[0]))
        .not_valid_after(T0 + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(usage(*uses), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if purposes:
        marked = not is_ca if critical is None else critical
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=marked)
    return builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True)


@dataclass(frozen=True)
class Sct:
    """One certificate timestamp: which log makes it, and what it says."""

    log: str = "honest"
    said_id: bytes | None = None
    at: float = 0
    extensions: bytes = b""
    algorithms: bytes = sct_format.SHA256_ECDSA
    issuer: str = "honest"
    over: bytes | None = None  # another precertificate
    kind: str = "P256"
    version: bytes = b"\0"
    tail: bytes = b""

    def encode(self, tbs: bytes, ca_key: Any) -> bytes:
        log = keys.key(self.kind, f"{self.log} ct")
        stamp = int(at(self.at).timestamp() * 1000)
        of = keys.key("P256", f"{self.issuer} ca") if self.issuer != "honest" else ca_key
        hashed = sha256(keys.spki(of)).digest()
        message = sct_format.precert_leaf(stamp, hashed, self.over or tbs, self.extensions)
        signature = keys.sign(log, message)
        return (
            self.version + (self.said_id or sha256(keys.spki(log)).digest())
            + stamp.to_bytes(8, "big") + _vector(self.extensions) + self.algorithms
            + _vector(signature) + self.tail
        )  # fmt: skip


def _vector(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@dataclass(frozen=True)
class Leaf:
    """A signer's certificate. None leaves an extension out; `extra` come behind all others."""

    ca: str = "honest"
    ca_shape: tuple[tuple[str, Any], ...] = ()
    directly: bool = False  # by the root, not by the intermediate CA
    kind: str = "P256"
    start: float = 0
    end: float = LIFETIME
    subject: str = ""
    issuer: str | None = None
    sans: tuple[x509.GeneralName, ...] | None = (x509.RFC822Name(ALICE),)
    san_critical: bool = True
    uses: tuple[str, ...] | None = ("digital_signature",)
    uses_critical: bool = True
    purposes: tuple[x509.ObjectIdentifier, ...] | None = (ExtendedKeyUsageOID.CODE_SIGNING,)
    purposes_critical: bool = False
    aki: str | None = "issuer"
    is_ca: bool | None = None
    issuer_v1: bytes | None = ISSUER.encode()
    issuer_v2: bytes | None = core.UTF8String(ISSUER).dump()
    scts: tuple[Sct, ...] | None = (Sct(),)
    scts_first: bool = False
    extra: tuple[tuple[str, bytes, bool], ...] = ()
    serial: int = 7
    algorithm: str = "sha256"

    @lru_cache(maxsize=512)  # noqa: B019 - a value, kept for it takes several signatures to make
    def issue(self, owner: str) -> bytes:
        """Return the DER certificate for the key of `owner`."""
        authority = ca(self.ca, **dict(self.ca_shape))
        signer = keys.key("P256", f"{self.ca} ca root") if self.directly else authority.key
        without = replace(self, scts=None)._sign(owner, authority, signer, b"")
        if self.scts is None:
            return without.public_bytes(Encoding.DER)
        items = [_vector(sct.encode(without.tbs_certificate_bytes, signer)) for sct in self.scts]
        value = core.OctetString(_vector(b"".join(items))).dump()
        return self._sign(owner, authority, signer, value).public_bytes(Encoding.DER)

    def _sign(self, owner: str, authority: Ca, signer: Any, scts: bytes) -> x509.Certificate:
        issuer = authority.chain[1 if self.directly else 0].subject
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(self.subject))
            .issuer_name(issuer if self.issuer is None else name(self.issuer))
            .public_key(keys.key(self.kind, owner).public_key())
            .serial_number(self.serial)
            .not_valid_before(at(self.start))
            .not_valid_after(at(self.end))
        )
        extensions = self._extensions(owner, signer)
        if scts:
            value = x509.UnrecognizedExtension(x509.ObjectIdentifier(SCT_LIST), scts)
            extensions.insert(0 if self.scts_first else len(extensions), (value, False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(
            signer, getattr(hashes, self.algorithm.upper())(), ecdsa_deterministic=True
        )

    def _extensions(self, owner: str, signer: Any) -> list[tuple[x509.ExtensionType, bool]]:
        aki = {"issuer": signer, "other": keys.key("P256", "nobody")}.get(self.aki or "")
        raw = [(self.issuer_v1, "1"), (self.issuer_v2, "8")]
        subject_key = keys.key(self.kind, owner).public_key()
        found: list[tuple[x509.ExtensionType | None, bool]] = [
            (None if self.uses is None else usage(*self.uses), self.uses_critical),
            (self.purposes and x509.ExtendedKeyUsage(self.purposes), self.purposes_critical),
            (x509.SubjectKeyIdentifier.from_public_key(subject_key), False),
            (
                aki and x509.AuthorityKeyIdentifier.from_issuer_public_key(aki.public_key()),
                False,
            ),
            (self.sans and x509.SubjectAlternativeName(self.sans), self.san_critical),
            *((_raw(ARC + number, value), False) for value, number in raw if value is not None),
            (
                None
                if self.is_ca is None
                else x509.BasicConstraints(ca=self.is_ca, path_length=None),
                True,
            ),
            *((_raw(oid, value), critical) for oid, value, critical in self.extra),
        ]
        return [(value, critical) for value, critical in found if value is not None]


def _raw(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
