# SPDX-License-Identifier: Apache-2.0
"""Keys in AWS KMS: an emulator of it runs as a server of its own."""

from __future__ import annotations

import datetime as dt
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from in_process import invoke

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9",  # not asked
}  # fmt: skip


class Kms:
    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def client(self, service="kms"):
        return boto3.client(
            service, endpoint_url=self.url, region_name="eu-west-1",
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key=SECRET,
        )  # fmt: skip

    def uri(self, key):
        return f"awskms://127.0.0.1:{self.port}/{key}"

    def key(self, spec, usage="SIGN_VERIFY"):
        """Return the id of a new key."""
        made = self.client().create_key(KeySpec=spec, KeyUsage=usage)
        return made["KeyMetadata"]["KeyId"]

    def enforce(self):
        """Let only those sign who were given the right to."""
        asked = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=b"0")
        asked.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(asked).close()

    def public_pem(self, key, path):
        der = self.client().get_public_key(KeyId=key)["PublicKey"]
        path.write_bytes(
            serialization.load_der_public_key(der).public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        return path


@contextmanager
def serving(*arguments):
    command = [sys.executable, Path(__file__).with_name("kms_server.py"), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Kms(int(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def kms():
    with serving("as-aws") as served:
        yield served


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for number in range(60):  # a statement of more than 4096 bytes, which KMS would not take whole
        (folder / f"part-{number}").write_text(f"weights {number}")
    return folder


def run(*arguments, **env):
    done = invoke(*arguments, env=SETTINGS | env)
    assert SECRET not in done.output
    assert "Traceback" not in done.output
    return done


def refused(*arguments, **env):
    """Return the exit code and the error's code."""
    done = run(*arguments, **env)
    return done.exit_code, done.output.splitlines()[0].rpartition("[")[2].rstrip("]")


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_a_model(kms, model, tmp_path, spec):
    key = kms.key(spec)
    signed = run("sign", model, "--key", kms.uri(key))
    assert signed.exit_code == 0, signed.output
    assert run("verify", model, "--key", kms.public_pem(key, tmp_path / "k.pub")).exit_code == 0
    (model / "part-7").write_text("other")
    assert run("verify", model, "--key", tmp_path / "k.pub").exit_code == 1


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "RSA_2048"])
def test_a_file_by_an_alias(kms, model, tmp_path, spec):
    key = kms.key(spec)
    alias = f"alias/release-{spec}"
    kms.client().create_alias(AliasName=alias, TargetKeyId=key)
    # Either variable names the region
    for unset in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        sign = ("sign", model / "part-1", "--overwrite", "--key", kms.uri(alias))
        assert run(*sign, **{unset: None}).exit_code == 0
    public = kms.public_pem(key, tmp_path / "k.pub")
    assert run("verify", model / "part-1", "--key", public).exit_code == 0


def test_the_endpoint_of_the_environment_and_the_region_of_an_arn(kms, model, tmp_path):
    made = kms.client().create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    arn = made["KeyMetadata"]["Arn"]
    env = {"AWS_ENDPOINT_URL_KMS": kms.url, "AWS_REGION": "us-east-1", "NO_PROXY": "127.0.0.1"}
    env["AWS_DEFAULT_REGION"] = "us-east-1"
    assert run("sign", model, "--key", f"awskms:///{arn}", **env).exit_code == 0
    by_id = ("sign", model, "--overwrite", "--key", f"awskms:///{arn.rpartition('/')[2]}")
    assert refused(*by_id, **env) == (2, "no-such-key")


def test_with_a_certificate(kms, model, tmp_path):
    key = kms.key("ECC_NIST_P256")
    public = serialization.load_der_public_key(kms.client().get_public_key(KeyId=key)["PublicKey"])
    (tmp_path / "leaf.pem").write_bytes(pem(certificate("release", public)))
    (tmp_path / "ca.pem").write_bytes(pem(certificate("ca", CA.public_key())))
    sign = ("sign", model, "--key", kms.uri(key), "--certificate")
    assert run(*sign, tmp_path / "leaf.pem").exit_code == 0
    done = run("verify", model, "--certificate-chain", tmp_path / "ca.pem")
    assert done.exit_code == 0, done.output
    assert refused(*sign, tmp_path / "ca.pem", "--overwrite") == (2, "key-mismatch")


CA = ec.generate_private_key(ec.SECP256R1())


def certificate(name, public):
    now = dt.datetime.now(dt.UTC)
    is_ca = name == "ca"
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "crl_sign", "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not is_ca, key_cert_sign=is_ca, **usage), critical=True
        )
        .add_extension(
            x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(CA.public_key()), critical=False
        )
        .sign(CA, hashes.SHA256())
    )


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM)


def test_keys_that_cannot_sign_models(kms, model):
    rsa, plain = kms.key("RSA_2048"), kms.key("ECC_SECG_P256K1")
    assert refused("sign", model, "--key", kms.uri(rsa)) == (1, "unsupported-key")
    assert refused("sign", model, "--key", kms.uri(plain)) == (1, "unsupported-key")
    secret = kms.key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    assert run("sign", model, "--key", kms.uri(secret)).exit_code in {1, 2, 3}
    assert not (model / "model.sig").exists()


def test_no_such_key(kms, model):
    for key in ("alias/nobody", "00000000-0000-0000-0000-000000000000"):
        assert refused("sign", model, "--key", kms.uri(key)) == (2, "no-such-key")


def test_no_credentials_and_no_region(kms, model):
    sign = ("sign", model, "--key", kms.uri(kms.key("ECC_NIST_P256")))
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    assert refused(*sign, **none) == (4, "key-credentials")
    assert refused(*sign, AWS_SECRET_ACCESS_KEY=None) == (4, "key-credentials")
    assert refused(*sign, AWS_REGION=None, AWS_DEFAULT_REGION=None) == (2, "kms-settings")
    assert refused(*sign, AWS_PROFILE="nobody") == (2, "kms-settings")


def test_nobody_is_there(model):
    with socket.socket() as taken:  # bound, so nobody else is there; not listening
        taken.bind(("127.0.0.1", 0))
        uri = f"awskms://127.0.0.1:{taken.getsockname()[1]}/alias/a"
        assert refused("sign", model, "--key", uri) == (3, "key-unreachable")


def test_a_service_that_signs_something_else(model):
    with serving() as other:
        sign = ("sign", model, "--key", other.uri(other.key("ECC_NIST_P256")))
        assert refused(*sign) == (3, "signer-failed")
        other.enforce()
        assert refused(*sign) == (3, "key-denied")  # a 403 that says nothing
    assert not (model / "model.sig").exists()


def test_access_denied_and_credentials_that_are_not_taken(model):
    with serving("as-aws") as strict:
        sign = ("sign", model, "--key", strict.uri(strict.key("ECC_NIST_P256")))
        iam = strict.client("iam")
        iam.create_user(UserName="carol")
        made = iam.create_access_key(UserName="carol")["AccessKey"]
        name = made["AccessKeyId"]
        strict.enforce()
        assert refused(*sign) == (4, "key-credentials")
        assert refused(*sign, AWS_ACCESS_KEY_ID=name) == (4, "key-credentials")
        env = {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
        assert refused(*sign, **env) == (3, "key-denied")
        assert "123456789012" not in run(*sign, **env).output
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("awskms://", "bad-key-uri"), ("awskms:///", "bad-key-uri"),
        ("awskms:alias/a", "bad-key-uri"),
        ("awskms://:80/a", "bad-key-uri"), ("awskms://u:p@host/a", "bad-key-uri"),
        ("awskms:///a?b", "bad-key-uri"), ("awskms://127.0.0.1:99999/a", "signer-failed"),
        ("gcpkms://a", "bad-key-uri"), ("file:///k.pem", "bad-key-uri"),
        ("./gcpkms:a", "not-found"),
    ],
)  # fmt: skip
def test_uris(model, uri, code):
    assert refused("sign", model, "--key", uri)[1] == code


def test_a_key_service_has_no_password(model):
    sign = ("sign", model, "--key", "awskms:///alias/a", "--password-env", "PW")
    assert refused(*sign, PW="x") == (2, "bad-options")
