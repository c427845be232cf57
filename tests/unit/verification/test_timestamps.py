# SPDX-License-Identifier: Apache-2.0
"""Timestamps of every kind of authority: our verdict is that of rfc3161-client.

What the two may differ in is named where it is tested.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import new, sha1, sha256
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from rfc3161_client import VerifierBuilder, decode_timestamp_response
from verifying import stamped as timestamp_times

from modelseal.errors import FormatError, ModelSealError, Unverified
from modelseal.formats import timestamp
from modelseal.formats.trusted_root import Period
from modelseal.trust.anchors import Authority
from modelseal.verification.checks import timestamps

SIGNED = b"a signature"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = bytes.fromhex("2b0601040183bf3002")
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
OIDS = {kind: oid for oid, kind in timestamp.ALGORITHMS.items()}
KEYS = {
    "P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


class Certified(NamedTuple):
    certificate: x509.Certificate
    key: object

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def certified(
    name, issuer=None, *, key=None, ca=True, purposes=(), critical=True, start=-DAY, end=DAY
):  # fmt: skip
    """Return a certificate by `issuer`, or by itself; times are relative to NOW."""
    key = key or KEYS["P256"]()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + start)
        .not_valid_after(NOW + end)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, **usage), critical=True
        )
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
    signer = issuer.key if issuer else key
    return Certified(builder.sign(signer, hashes.SHA256()), key)


def authority(*chain: Certified, start=NOW - DAY, end=None) -> Authority:
    return Authority("", tuple(one.certificate for one in chain), Period(start, end))


def stamped(
    signer, *, hash_name="sha256", imprint_hash="sha256", signed=SIGNED, time=NOW,
    certificates=None, certificate_hashes=None, kind=None,
) -> timestamp.Token:  # fmt: skip
    digest = new(imprint_hash, signed).digest()
    info = timestamp.Info(POLICY, imprint_hash, digest, 7, time)
    content = timestamp.format_info(info)
    message_digest = new(hash_name, content).digest()
    if certificate_hashes is None:
        certificate_hashes = (("sha256", sha256(signer.der).digest()),)
    attributes = timestamp.format_attributes(message_digest, certificate_hashes)
    algorithm = getattr(hashes, hash_name.upper())()
    is_rsa = isinstance(signer.key, rsa.RSAPrivateKey)
    how = (padding.PKCS1v15(), algorithm) if is_rsa else (ec.ECDSA(algorithm),)
    return timestamp.Token(
        info, content, attributes, message_digest, certificate_hashes,
        (signer.der,) if certificates is None else certificates,
        signer.certificate.issuer.public_bytes(), signer.certificate.serial_number, hash_name,
        OIDS[kind or ("rsa" if is_rsa else "ec", hash_name)], signer.key.sign(attributes, *how),
    )  # fmt: skip


def in_order(*given: Certified) -> tuple[bytes, ...]:
    """Return certificates as DER orders a set (X.690 section 11.6), which the reference wants."""
    return tuple(sorted(one.der for one in given))


def ours(raw: bytes, *authorities: Authority) -> bool:
    try:
        return bool(timestamp_times((raw,), SIGNED, authorities))
    except ModelSealError:
        return False


def theirs(raw: bytes, *authorities: Authority) -> bool:
    return any(_theirs(raw, one) for one in authorities)


def _theirs(raw: bytes, one: Authority) -> bool:
    *others, root = one.chain
    builder = VerifierBuilder(roots=[root])
    first = one.chain[0]
    if not first.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        builder = VerifierBuilder(tsa_certificate=first, roots=[root])
        others = others[1:]
    for certificate in others:
        builder = builder.add_intermediate_certificate(certificate)
    try:
        response = decode_timestamp_response(raw)
        builder.build().verify_message(response, SIGNED)
    except Exception:  # noqa: BLE001 - no is all that counts
        return False
    return one.period.covers(response.tst_info.gen_time)


ROOT = certified("root")
BETWEEN = certified("between", ROOT)
LEAF = certified("tsa", ROOT, ca=False, purposes=[TIME_STAMPING])
LOWER = certified("tsa below", BETWEEN, ca=False, purposes=[TIME_STAMPING])
STRANGER = certified("root")
FORGED = certified("tsa", STRANGER, ca=False, purposes=[TIME_STAMPING])


def leaf(**options) -> Certified:
    return certified("tsa", ROOT, ca=False, **({"purposes": [TIME_STAMPING]} | options))


SHORT = leaf(start=-timedelta(hours=1), end=timedelta(hours=1))
LOOSE = leaf(critical=False)
FOR_CODE = leaf(purposes=[ExtendedKeyUsageOID.CODE_SIGNING])
NO_PURPOSE = leaf(purposes=())
OLD_ROOT = certified("root", start=-3 * DAY, end=-DAY)
OF_OLD = certified("tsa", OLD_ROOT, ca=False, purposes=[TIME_STAMPING])
NOT_CA = certified("leaf as ca", ROOT, ca=False)
BY_LEAF = certified("tsa", NOT_CA, ca=False, purposes=[TIME_STAMPING])

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
CASES = {
    "plain": (True, stamped(LEAF), authority(LEAF, ROOT)),
    "no certificate in it": (True, stamped(LEAF, certificates=()), authority(LEAF, ROOT)),
    "chain in it": (
        True, stamped(LOWER, certificates=in_order(LOWER, BETWEEN)),
        authority(LOWER, BETWEEN, ROOT),
    ),
    "another certificate in it": (
        False, stamped(LEAF, certificates=(FORGED.der,)), authority(LEAF, ROOT),
    ),
    "only the CA is trusted": (True, stamped(LOWER), authority(BETWEEN, ROOT)),
    "only the root is trusted": (True, stamped(LEAF), authority(ROOT)),
    "only the CA is trusted, and nothing in it": (
        False, stamped(LOWER, certificates=()), authority(BETWEEN, ROOT),
    ),
    "a leaf nobody vouches for": (False, stamped(LEAF), authority(LEAF)),
    "of a stranger by the same name": (False, stamped(FORGED), authority(LEAF, ROOT)),
    "of a stranger, the CA trusted": (False, stamped(FORGED), authority(ROOT)),
    "leaf of another root": (False, stamped(FORGED), authority(FORGED, ROOT)),
    "issued by no CA": (
        False, stamped(BY_LEAF, certificates=in_order(BY_LEAF, NOT_CA)), authority(ROOT),
    ),
    "over something else": (False, stamped(LEAF, signed=b"else"), authority(LEAF, ROOT)),
    "use not critical": (False, stamped(LOOSE), authority(LOOSE, ROOT)),
    "for code": (False, stamped(FOR_CODE), authority(FOR_CODE, ROOT)),
    "for nothing": (False, stamped(NO_PURPOSE), authority(NO_PURPOSE, ROOT)),
    "start of the certificate": (True, stamped(SHORT, time=NOW - HOUR), authority(SHORT, ROOT)),
    "before the certificate": (
        False, stamped(SHORT, time=NOW - HOUR - SECOND), authority(SHORT, ROOT),
    ),
    "after the certificate": (
        False, stamped(SHORT, time=NOW + HOUR + SECOND), authority(SHORT, ROOT),
    ),
    "after the root": (
        False, stamped(OF_OLD), authority(OF_OLD, OLD_ROOT),
    ),
    "end of the period": (True, stamped(LEAF), authority(LEAF, ROOT, end=NOW)),
    "after the period": (False, stamped(LEAF), authority(LEAF, ROOT, end=NOW - SECOND)),
    "before the period": (False, stamped(LEAF), authority(LEAF, ROOT, start=NOW + SECOND)),
    "a fraction of a second": (
        True, stamped(LEAF, time=NOW + timedelta(milliseconds=120)), authority(LEAF, ROOT),
    ),
    "SHA-1 names the certificate": (
        True, stamped(LEAF, certificate_hashes=(("sha1", sha1(LEAF.der).digest()),)),
        authority(LEAF, ROOT),
    ),
    "SHA-384 names it": (
        True, stamped(LEAF, certificate_hashes=(("sha384", new("sha384", LEAF.der).digest()),)),
        authority(LEAF, ROOT),
    ),
    "nothing names the certificate": (
        True, stamped(LEAF, certificate_hashes=()), authority(LEAF, ROOT),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("good", "token", "one"), CASES.values(), ids=CASES)
def test_one_verdict_with_the_reference(good, token, one):
    raw = timestamp.to_bytes(token)
    assert timestamp.parse(raw) == token
    assert (ours(raw, one), theirs(raw, one)) == (good, good)


@pytest.mark.parametrize("imprint_hash", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("key", KEYS)
def test_every_key_with_every_hash(key, hash_name, imprint_hash):
    signer = leaf(key=KEYS[key]())
    raw = timestamp.to_bytes(stamped(signer, hash_name=hash_name, imprint_hash=imprint_hash))
    one = authority(signer, ROOT)
    assert ours(raw, one)
    assert theirs(raw, one)


def test_the_reference_does_without_the_certificates_hash():
    """RFC 5035 section 4: the hash must be that of the signer's certificate. Ours checks it."""
    wrong = stamped(LEAF, certificate_hashes=(("sha256", sha256(b"another").digest()),))
    raw, one = timestamp.to_bytes(wrong), authority(LEAF, ROOT)
    assert theirs(raw, one)
    assert not ours(raw, one)


def test_the_reference_does_without_the_name_of_the_algorithm():
    """RFC 5652 section 5.3: `signatureAlgorithm` goes with the digest algorithm and the key."""
    one = authority(LEAF, ROOT)
    for kind in (("ec", "sha384"), ("rsa", "sha256"), ("rsa", None), ("ed25519", None)):
        raw = timestamp.to_bytes(stamped(LEAF, kind=kind))
        assert theirs(raw, one)
        assert not ours(raw, one)
    assert ours(timestamp.to_bytes(stamped(LEAF, kind=("ec", None))), one)


def test_an_ed25519_authority_goes_with_sha512():
    key = ed25519.Ed25519PrivateKey.generate()
    token = stamped(LEAF, hash_name="sha512")
    for hash_name, good in (("sha512", True), ("sha256", False)):
        made = token._replace(
            hash_name=hash_name, algorithm=OIDS["ed25519", None],
            signature=key.sign(token.attributes),
        )  # fmt: skip
        signer = timestamps._Signer(
            issuer=token.issuer,
            serial=token.serial,
            encoded=LEAF.der,
            key=key.public_key(),
            path=(LEAF.certificate,),
        )
        digest = new(hash_name, token.content).digest()
        assert timestamps._is_signed(made._replace(message_digest=digest), signer) is good


def test_one_good_authority_of_several_will_do():
    raw = timestamp.to_bytes(stamped(LEAF))
    ended = authority(LEAF, ROOT, end=NOW - SECOND)
    assert ours(raw, authority(FORGED, STRANGER), ended, authority(LEAF, ROOT))
    with pytest.raises(Unverified, match="no-trusted-time"):
        timestamp_times((raw,), SIGNED, (ended,))


def test_no_bent_byte_is_a_yes_that_the_reference_does_not_give():
    token, one = stamped(LEAF), authority(LEAF, ROOT)
    raw = timestamp.to_bytes(token)
    algorithm = raw.rindex(token.algorithm)
    inside = range(algorithm, algorithm + len(token.algorithm))
    lists = raw.index(token.certificates[0]) - len(b"\xa0\x82\x00\x00")  # [0], or [1] for CRLs
    for at in range(len(raw)):
        for bit in (0x01, 0x04, 0x20, 0x80):
            bent = bytearray(raw)
            bent[at] ^= bit
            mine, reference = ours(bytes(bent), one), theirs(bytes(bent), one)
            if at == lists and bit == 1:
                assert mine  # revocation lists are not read: as if no certificate were in it
            elif mine != reference:
                assert reference, at  # ours is the stricter
                assert at in inside, at


@pytest.mark.parametrize("raw", [
    b"", b"0", b"0\x03\x02\x01\x02", b"\x30\x80\x00\x00", b"\x30\x05\x30\x03\x02\x01\x02",
    b"\x30\x84\xff\xff\xff\xff", b"\x1f\x81\x00", b"\x30\x81\x05\x30\x03\x02\x01\x00",
    bytes(timestamp.LIMIT + 1),
])  # fmt: skip
def test_what_is_no_timestamp_has_a_code(raw):
    with pytest.raises(FormatError, match="bad-timestamp"):
        timestamp.parse(raw)
