# SPDX-License-Identifier: Apache-2.0
"""Bends of certificates and of the timestamps of CT logs in them."""

from __future__ import annotations

from asn1crypto import core
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from forging import issuing, keys, logs
from forging.bending import (
    Bend,
    leaf,
    made_with,
    sct,
)
from forging.issuing import ALICE, ISSUER, Sct

RSA_SHA256 = b"\x04\x01"
SHA512_ECDSA = b"\x06\x03"
URI = x509.UniformResourceIdentifier("https://example.com/w")
BOB = x509.RFC822Name("bob@example.com")
OTHER = x509.OtherName(x509.ObjectIdentifier(issuing.ARC + "7"), core.UTF8String(ALICE).dump())
CONSTRAINTS = "2.5.29.30"
FORBIDDEN = x509.NameConstraints(None, [x509.RFC822Name("example.com")]).public_bytes()
UTF8_BOB = core.UTF8String("https://other.example").dump()

ATTACKER: dict[str, Bend] = {
    "certificate of an attacker's CA of the same name": leaf(ca="attacker"),
    "certificate signed by itself": leaf(ca="self"),
    "certificate of another key": made_with(signer="mallory"),
    "signature by another key": made_with(owner="mallory"),
    "signature of another message": made_with(signed=lambda message: message + b"x"),
    "signature with a byte more": made_with(spoiled=lambda signature: signature + b"\0"),
    "signature in BER": made_with(spoiled=lambda s: b"\x30\x81" + s[1:]),
    "signature of zeros": made_with(spoiled=lambda _: bytes.fromhex("3006020100020100")),
    "signature without sign bytes": made_with(
        spoiled=lambda s: b"\x30" + bytes([len(s) - 1]) + b"\x02\x21\0" + s[4:]
    ),
    "no signature": made_with(spoiled=lambda _: b""),
    "artifact of another": made_with(artifact=b"other weights"),
}  # fmt: skip

CARELESS_CA: dict[str, Bend] = {
    "valid until the timestamp": leaf(end=5),
    "valid until a second before": leaf(end=4),
    "valid from the timestamp": leaf(start=5),
    "valid from a second after": leaf(start=6),
    "never valid": leaf(start=6, end=6),
    "valid for ten years": leaf(end=3600 * 24 * 3650),
    "subject with a name": leaf(subject="alice", san_critical=False),
    "subject with a name, critical alternative": leaf(subject="alice"),
    "no subject, alternative not critical": leaf(san_critical=False),
    "no alternative name": leaf(sans=None),
    "URI": leaf(sans=(URI,)),
    "other name": leaf(sans=(OTHER,)),
    "DNS name": leaf(sans=(x509.DNSName("example.com"),)),
    "two subjects": leaf(sans=(x509.RFC822Name(ALICE), BOB)),
    "one subject twice": leaf(sans=(x509.RFC822Name(ALICE),) * 2),
    "subject of another": leaf(sans=(BOB,)),
    "subject in capitals": leaf(sans=(x509.RFC822Name("Alice@example.com"),)),
    "directory name beside": leaf(
        sans=(x509.RFC822Name(ALICE), x509.DirectoryName(issuing.name("x")))
    ),
    "no key usage": leaf(uses=None),
    "other key usage": leaf(uses=("key_encipherment",)),
    "more key usage": leaf(uses=("digital_signature", "content_commitment")),
    "key usage of a CA": leaf(uses=("digital_signature", "key_cert_sign")),
    "key usage not critical": leaf(uses_critical=False),
    "no purpose": leaf(purposes=None),
    "any purpose": leaf(purposes=(Eku.ANY_EXTENDED_KEY_USAGE,)),
    "other purpose": leaf(purposes=(Eku.SERVER_AUTH,)),
    "purpose of timestamps": leaf(purposes=(Eku.TIME_STAMPING,)),
    "two purposes": leaf(purposes=(Eku.CLIENT_AUTH, Eku.CODE_SIGNING)),
    "purpose critical": leaf(purposes_critical=True),
    "no authority key": leaf(aki=None),
    "authority key of another": leaf(aki="other"),
    "is a CA": leaf(is_ca=True),
    "says it is no CA": leaf(is_ca=False),
    "no first issuer": leaf(issuer_v1=None),
    "no second issuer": leaf(issuer_v2=None),
    "no issuer": leaf(issuer_v1=None, issuer_v2=None),
    "first issuer another": leaf(issuer_v1=b"https://other.example"),
    "second issuer another": leaf(issuer_v2=UTF8_BOB),
    "only second issuer, in raw": leaf(issuer_v1=None, issuer_v2=ISSUER.encode()),
    "issuer of another name": leaf(issuer="someone"),
    "issued by the root": leaf(directly=True),
    "unknown extension": leaf(extra=(("1.2.3.4", b"\x05\0", False),)),
    "unknown critical extension": leaf(extra=(("1.2.3.4", b"\x05\0", True),)),
    "poison": leaf(extra=(("1.3.6.1.4.1.11129.2.4.3", b"\x05\0", True),)),
    "name constraints in the leaf": leaf(extra=((CONSTRAINTS, FORBIDDEN, True),)),
    "extension that is not DER": leaf(extra=(("2.5.29.31", b"\xff\xff", False),)),
    "serial number of zero bits": leaf(serial=1),
    "signed over SHA-384": leaf(algorithm="sha384"),
    "CA for servers only": leaf(ca="servers"),
}  # fmt: skip

SCTS: dict[str, Bend] = {
    "no SCT": leaf(scts=None),
    "no SCT in the list": sct(),
    "SCT by an attacker's log": sct(Sct("attacker")),
    "SCT by an attacker under a log's id": sct(
        Sct("attacker", said_id=logs.sha256(keys.spki(keys.key("P256", "honest ct"))).digest())
    ),
    "SCT under the id of another log": sct(
        Sct(said_id=logs.sha256(keys.spki(keys.key("P256", "second ct"))).digest())
    ),
    "SCT under an unknown id": sct(Sct(said_id=b"\0" * 32)),
    "SCT by the second log": sct(Sct("second")),
    "SCT with extensions": sct(Sct(extensions=b"\0\0\5" + b"12345")),
    "SCT with long extensions": sct(Sct(extensions=b"x" * 900)),
    "SCT at another time": sct(Sct(at=-3600)),
    "SCT between milliseconds": sct(Sct(at=0.7531)),
    "SCT before its log": sct(Sct(at=-86400 * 2)),
    "SCT in the future": sct(Sct(at=86400 * 365)),
    "SCT at the beginning of time": sct(Sct(at=-issuing.T0.timestamp())),
    "SCT for another issuer": sct(Sct(issuer="attacker")),
    "SCT over another certificate": sct(Sct(over=b"another")),
    "SCT said to be over SHA-512": sct(Sct(algorithms=SHA512_ECDSA)),
    "SCT said to be by RSA": sct(Sct(algorithms=RSA_SHA256)),
    "SCT of version 2": sct(Sct(version=b"\1")),
    "SCT with a byte more": sct(Sct(tail=b"\0")),
    "two SCTs": sct(Sct(), Sct("second")),
    "one SCT twice": sct(Sct(), Sct()),
    "a bad SCT before a good one": sct(Sct("attacker"), Sct()),
    "a bad SCT after a good one": sct(Sct(), Sct(over=b"another")),
    "two bad SCTs": sct(Sct("attacker"), Sct(over=b"another")),
    "SCTs before other extensions": leaf(scts_first=True),
}  # fmt: skip
