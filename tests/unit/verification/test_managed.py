# SPDX-License-Identifier: Apache-2.0
"""Signatures by keys and by certificates of one's own CA, also those that others wrote."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from verifying import authenticate

from modelseal.errors import FormatError, ModelSealError, Unverified, UsageError
from modelseal.formats import bundle as bundle_format
from modelseal.formats import intoto, oms
from modelseal.signing.signers.key import KeySigner, with_certificate
from modelseal.trust import keys, private_keys
from modelseal.verification.believed import TrustedAuthority, TrustedKey

VECTORS = Path(__file__).parents[2] / "vectors" / "model-signing"
MANIFEST = oms.manifest([oms.Resource("a", sha256(b"a").digest())])
PAYLOAD = intoto.to_bytes(oms.to_statement(MANIFEST, "m"))
DIGEST = sha256(b"weights").digest()
CURVES = tuple(private_keys.CURVES.values())
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def code_of(call, *arguments) -> str:
    with pytest.raises(ModelSealError) as refused:
        call(*arguments)
    return refused.value.code


@pytest.mark.parametrize("curve", CURVES)
def test_a_model_signed_with_a_key(curve):
    key = ec.generate_private_key(curve)
    data = KeySigner(key).statement(PAYLOAD)
    found = authenticate(data, TrustedKey(key.public_key()))
    assert (found.manifest, found.kind, found.time, found.logged) == (
        MANIFEST, "oms", None, None,
    )  # fmt: skip
    assert found.signer.subject == f"sha256:{sha256(keys.public_pem(key.public_key())).hexdigest()}"
    other = TrustedKey(ec.generate_private_key(curve).public_key())
    assert code_of(authenticate, data, other) == "key-mismatch"


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)]
)
def test_a_file_signed_with_a_key(key):
    data = KeySigner(key).artifact(DIGEST)
    found = authenticate(data, TrustedKey(key.public_key()))
    assert (found.kind, found.manifest.resources[0].digest) == ("artifact", DIGEST)


def test_keys_that_do_not_sign_such_a_thing():
    assert code_of(KeySigner(rsa.generate_private_key(65537, 2048)).statement, PAYLOAD) == (
        "unsupported-key"
    )


def altered(data: bytes, change) -> bytes:
    bundle = json.loads(data)
    change(bundle)
    return json.dumps(bundle).encode()


def test_hints_of_the_pem_and_of_the_der_are_known_and_no_others():
    key = ec.generate_private_key(ec.SECP256R1())
    data = KeySigner(key).statement(PAYLOAD)
    _, der_hint = keys.hints(key.public_key())

    def hinted(hint):
        return altered(data, lambda b: b["verificationMaterial"]["publicKey"].update(hint=hint))

    assert authenticate(hinted(der_hint), TrustedKey(key.public_key()))
    refused = hinted("00" * 32)
    assert code_of(authenticate, refused, TrustedKey(key.public_key())) == "key-mismatch"


def test_an_altered_statement_is_refused():
    key = ec.generate_private_key(ec.SECP256R1())
    other = oms.manifest([oms.Resource("a", sha256(b"b").digest())])
    payload = b64encode(intoto.to_bytes(oms.to_statement(other, "m"))).decode()
    data = altered(
        KeySigner(key).statement(PAYLOAD), lambda b: b["dsseEnvelope"].update(payload=payload)
    )
    assert code_of(authenticate, data, TrustedKey(key.public_key())) == "signature-invalid"


# -- certificates ----------------------------------------------------------------------------------


def usage(use: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name == use for name in names})


CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
DIGITAL_SIGNATURE = usage("digital_signature")


class Authority:
    """A CA of one's own: root, intermediate, leaf, each with its own validity."""

    def __init__(
        self, periods=(None, None, None), *, purposes=(CODE_SIGNING,), leaf_usage=DIGITAL_SIGNATURE
    ) -> None:
        issuer, self.chain = None, []
        for name, period in zip(("root", "between", "leaf"), periods, strict=True):
            key = ec.generate_private_key(ec.SECP384R1())
            ca = name != "leaf"
            start, end = period or (NOW - DAY, NOW + DAY)
            builder = (
                x509.CertificateBuilder()
                .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .issuer_name(issuer[1].subject if issuer else x509.Name(
                    [x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(start)
                .not_valid_after(end)
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
                .add_extension(
                    x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
                )
            )  # fmt: skip
            said = usage("key_cert_sign") if ca else leaf_usage
            if said is not None:
                builder = builder.add_extension(said, critical=True)
            if issuer:
                above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[0].public_key())
                builder = builder.add_extension(above, critical=False)
            if not ca and purposes:
                builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            made = builder.sign(issuer[0] if issuer else key, hashes.SHA384())
            issuer = (key, made)
            self.chain.insert(0, made)
        self.key = issuer[0]
        self.leaf, self.between, self.root = self.chain

    def signed(self) -> bytes:
        return with_certificate(self.key, (self.leaf,), (self.between,)).statement(PAYLOAD)


def test_a_model_signed_with_a_certificate():
    ca = Authority()
    found = authenticate(ca.signed(), TrustedAuthority((ca.root,)))
    assert (found.signer.subject, found.signer.issuer) == ("CN=leaf", "CN=between")
    assert code_of(authenticate, ca.signed(), TrustedAuthority((Authority().root,))) == (
        "untrusted-certificate"
    )
    assert authenticate(ca.signed(), TrustedAuthority((Authority().root, ca.root)))


PAST, FUTURE = (NOW - 9 * DAY, NOW - 8 * DAY), (NOW + 8 * DAY, NOW + 9 * DAY)


@pytest.mark.parametrize("period", [PAST, FUTURE])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_every_certificate_must_be_valid_now(period, which):
    ca = Authority(tuple(period if i in which else None for i in range(3)))
    assert code_of(authenticate, ca.signed(), TrustedAuthority((ca.root,))) in {
        "certificate-expired", "untrusted-certificate",
    }  # fmt: skip


HALF_AN_HOUR = timedelta(minutes=30)


@pytest.mark.parametrize(("minutes_ago", "code"), [(40, ""), (20, "certificate-expired")])
def test_an_expired_certificate_is_refused_unless_a_trusted_time_says_it_was_valid(
    forge, minutes_ago, code
):
    ca = Authority((None, None, (NOW - DAY, NOW - HALF_AN_HOUR)))
    data, believed = ca.signed(), TrustedAuthority((ca.root,))
    (sig,) = json.loads(data)["dsseEnvelope"]["signatures"]
    stamp = forge.stamp(b64decode(sig["sig"]), -60 * minutes_ago)
    data = altered(
        data, lambda b: b["verificationMaterial"].update(timestampVerificationData=stamp)
    )
    assert code_of(authenticate, data, believed) == "certificate-expired"  # nobody is trusted
    assert code_of(authenticate, data, believed, forge.trust) == "not-logged"
    unlogged = TrustedAuthority((ca.root,), logged=False)
    if code:
        assert code_of(authenticate, data, unlogged, forge.trust) == code
        return
    found = authenticate(data, unlogged, forge.trust)
    assert (found.time < NOW - HALF_AN_HOUR, found.logged, found.until) == (True, None, None)


@pytest.mark.parametrize(
    "said",
    [
        {"purposes": ()},
        {"leaf_usage": None},
        {"purposes": (), "leaf_usage": None},
        {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
        {"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH, CODE_SIGNING)},
    ],
)
def test_a_certificate_that_does_not_say_what_it_is_for_is_for_anything(said):
    """As those of the largest set of signed models, by a chain of three without purposes."""
    ca = Authority(**said)
    found = authenticate(ca.signed(), TrustedAuthority((ca.root,)))
    assert (found.signer.subject, found.times, found.logged) == ("CN=leaf", (), None)
    assert found.until == ca.leaf.not_valid_after_utc


@pytest.mark.parametrize(
    "said",
    [
        {"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
        {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH)},
        {"leaf_usage": usage("key_encipherment")},
        {"leaf_usage": usage("key_cert_sign"), "purposes": ()},
    ],
)
def test_a_certificate_for_something_else_than_signing_code(said):
    ca = Authority(**said)
    assert code_of(authenticate, ca.signed(), TrustedAuthority((ca.root,))) == "certificate-usage"


def test_the_certificate_must_be_of_the_key():
    one, other = Authority(), Authority()
    with pytest.raises(UsageError, match="another key"):
        with_certificate(one.key, (other.leaf,), ())
    stolen = KeySigner(one.key, (other.leaf, other.between)).statement(PAYLOAD)
    assert code_of(authenticate, stolen, TrustedAuthority((other.root,))) == "signature-invalid"


def test_each_method_wants_its_own_bundle():
    ca, key = Authority(), ec.generate_private_key(ec.SECP256R1())
    by_key = KeySigner(key).statement(PAYLOAD)
    assert code_of(authenticate, by_key, TrustedAuthority((ca.root,))) == "not-by-certificate"
    assert code_of(authenticate, ca.signed(), TrustedKey(key.public_key())) == "not-by-key"


# -- bundles of others -----------------------------------------------------------------------------


def test_a_bundle_of_model_signing_1_0_with_its_key_inside():
    data = (VECTORS / "v1.0.0-key" / "model.sig").read_bytes()
    raw = b64decode(json.loads(data)["verificationMaterial"]["publicKey"]["rawBytes"])
    key = keys.signature.load_pem(raw)
    found = authenticate(data, TrustedKey(key))
    assert [r.name for r in found.manifest.resources] == [oms.SINGLE_FILE]
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    assert code_of(authenticate, data, TrustedKey(other)) == "key-mismatch"


def test_a_bundle_of_model_signing_0_2():
    data = (VECTORS / "v0.2.0-certificate" / "model.sig").read_bytes()
    chain = bundle_format.parse(data).certificates
    believed = TrustedAuthority((x509.load_der_x509_certificate(chain[1]),))
    found = authenticate(data, believed)
    assert [r.name for r in found.manifest.resources] == ["signme-1", "signme-2"]
    bad = altered(data, lambda b: b["dsseEnvelope"].update(payload=b64encode(PAYLOAD).decode()))
    with pytest.raises(Unverified, match="signature"):
        authenticate(bad, believed)


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", private_keys.CURVES)
@pytest.mark.parametrize("password", [None, b"secret"])
def test_generated_keys_are_private_and_read_back(curve, password, tmp_path):
    private = tmp_path / "release.key"
    public = private_keys.generate(private, curve, password)
    assert private.stat().st_mode & 0o777 == 0o600
    key = private_keys.load_private(private, password)
    assert keys.load_public(public) == key.public_key()
    assert code_of(private_keys.generate, private, curve) == "already-exists"
    assert code_of(private_keys.load_private, private, b"wrong") == "key-password"


def test_files_that_hold_no_key(tmp_path):
    path = tmp_path / "file"
    path.write_text("no key")
    assert code_of(private_keys.load_private, path) == "bad-key"
    assert code_of(keys.load_public, path) == "bad-key"
    assert code_of(keys.load_certificates, path) == "bad-certificate"
    with pytest.raises(FormatError):
        private_keys.load_private(path, b"secret")
