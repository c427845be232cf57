# SPDX-License-Identifier: Apache-2.0
"""Key files as OpenSSL and OpenSSH write them: read, or named with the command that converts them.

The commands in the hints are run, and what they write is read.
"""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from in_process import invoke

from modelseal.errors import ModelSealError
from modelseal.trust import keys, private_keys

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("ssh-keygen")), reason="needs OpenSSL, OpenSSH"
)

PASSWORD = b"secret words"
READ = {
    "private key": private_keys.load_private,
    "public key": keys.load_public,
    "certificate": keys.load_certificates,
}


def run(command, folder):
    """Run a shell command, with the password wherever one is asked for."""
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "PASSWORD": PASSWORD.decode()}
    return subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Give a function from the command that writes the file `key` to its path."""
    monkeypatch.chdir(tmp_path)

    def make(command):
        done = run(command, tmp_path)
        if done.returncode:
            pytest.skip(f"this OpenSSL cannot make it: {done.stderr.splitlines()[:1]}")
        return tmp_path / "key"

    return make


def refused(read, path, *password):
    with pytest.raises(ModelSealError) as error:
        read(path, *password)
    assert str(path) in error.value.message
    return error.value


SEC1 = "openssl ecparam -name prime256v1 -genkey -noout -out sec1 && "
CERTIFICATE = SEC1 + "openssl req -x509 -key sec1 -subj /CN=x -days 9 -out cert && "
ENCRYPTED = [
    "openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -out key",
    "openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -v2 aes-192-cbc -out key",
    "openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -v2 des3 -out key",
    "openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -scrypt -out key",
    "openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -v1 PBE-SHA1-3DES -out key",
    "openssl ec -in sec1 -passout env:PASSWORD -aes128 -out key",
    "openssl ec -in sec1 -passout env:PASSWORD -des3 -out key",
]


@pytest.mark.parametrize("command", [
    SEC1 + "cp sec1 key",
    "openssl ecparam -name secp384r1 -genkey -out key",  # with its parameters before it
    "openssl genrsa -traditional -out key 2048",
    "openssl genpkey -algorithm ed25519 -out key",
    "ssh-keygen -q -t ecdsa -m PKCS8 -N '' -f key",
])  # fmt: skip
def test_private_keys_that_are_read(made, command):
    path = made(command)
    assert private_keys.load_private(path)
    error = refused(private_keys.load_private, path, PASSWORD)
    assert (error.code, "is not encrypted" in error.message) == ("key-password", True)
    assert "--password-env" in error.hint


@pytest.mark.parametrize("command", ENCRYPTED)
def test_only_a_wrong_password_is_called_wrong(made, command):
    path = made(SEC1 + command)
    assert private_keys.load_private(path, PASSWORD)
    error = refused(private_keys.load_private, path)
    assert (error.code, "no password was given" in error.message) == ("key-password", True)
    for wrong in (b"wrong", PASSWORD + b"\n", b"\xff"):
        error = refused(private_keys.load_private, path, wrong)
        assert error.code == "key-password"
        assert error.message == f"The password for '{path}' is wrong."


@pytest.mark.parametrize("command", ENCRYPTED)
def test_a_damaged_key_is_not_a_wrong_password(made, command):
    path = made(SEC1 + command)
    lines = path.read_text().splitlines()
    for damaged in (
        lines[:-1],
        [*lines[:-2], lines[-2][:-3] + "!==", lines[-1]],
        [*lines[:-2], lines[-2][:-8], lines[-1]],
    ):
        path.write_text("\n".join(damaged))
        error = refused(private_keys.load_private, path, PASSWORD)
        assert (error.code, "is damaged" in error.message) == ("bad-key", True), damaged


@pytest.mark.parametrize(("command", "cipher"), [
    ("openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -v2 camellia256 -out key",
     "Camellia-256-CBC"),
    ("openssl pkcs8 -topk8 -in sec1 -passout env:PASSWORD -v2 aria256 -out key", "ARIA-256-CBC"),
    ("openssl ec -in sec1 -passout env:PASSWORD -aes192 -out key", "AES-192-CBC"),
    ("openssl ec -in sec1 -passout env:PASSWORD -camellia256 -out key", "CAMELLIA-256-CBC"),
    ("openssl ec -provider legacy -provider default -in sec1 -passout env:PASSWORD -des -out key",
     "DES-CBC"),
])  # fmt: skip
def test_a_cipher_that_is_not_supported_is_named_and_converted(made, tmp_path, command, cipher):
    path = made(SEC1 + command)
    for password in (PASSWORD, b"wrong"):
        error = refused(private_keys.load_private, path, password)
        assert error.code == "bad-key"
        assert f"is encrypted by {cipher}, which is not supported." in error.message
    convert = error.hint.removeprefix("Convert it: ")
    options = "-passin env:PASSWORD -passout env:PASSWORD -in"
    done = run(convert.replace("-in", options, 1), tmp_path)
    assert done.returncode == 0, done.stderr
    assert private_keys.load_private(tmp_path / "key.new.pem", PASSWORD)


DSA = (
    "openssl genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:1024 -out p && "
    "openssl genpkey -paramfile p -out key"
)
OPENSSH = "ssh-keygen -q -t ecdsa -N '' -f key"


@pytest.mark.parametrize(("wanted", "command", "what"), [
    ("private key", SEC1 + "openssl pkey -in sec1 -outform DER -out key", "a private key in DER"),
    ("private key", SEC1 + "openssl ec -in sec1 -outform DER -out key", "a private key in DER"),
    ("public key", SEC1 + "openssl pkey -in sec1 -outform DER -out key", "a private key in DER"),
    ("public key", SEC1 + "openssl pkey -in sec1 -pubout -outform DER -out key",
     "a public key in DER"),
    ("public key", SEC1 + "cp sec1 key", "a private key"),
    ("private key", OPENSSH, "a private key of OpenSSH"),
    ("public key", OPENSSH, "a private key of OpenSSH"),
    ("public key", OPENSSH + " && mv key.pub key", "a public key of OpenSSH"),
    ("certificate", CERTIFICATE + "openssl x509 -in cert -outform DER -out key",
     "a certificate in DER"),
    ("public key", CERTIFICATE + "openssl x509 -in cert -outform DER -out key",
     "a certificate in DER"),
    ("public key", CERTIFICATE + "cp cert key", "a certificate"),
    ("certificate", CERTIFICATE + "openssl x509 -in cert -trustout -out key",
     "a certificate with OpenSSL's own additions"),
    ("certificate", CERTIFICATE + "openssl crl2pkcs7 -nocrl -certfile cert -out key",
     "a PKCS#7 file"),
    ("private key", CERTIFICATE + "openssl pkcs12 -export -inkey sec1 -in cert "
     "-passout env:PASSWORD -out key", "a PKCS#12 file"),
    ("certificate", CERTIFICATE + "openssl pkcs12 -export -inkey sec1 -in cert "
     "-passout env:PASSWORD -out key", "a PKCS#12 file"),
])  # fmt: skip
def test_another_form_is_named_and_converted(made, tmp_path, wanted, command, what):
    path = made(command)
    error = refused(READ[wanted], path)
    assert error.code == ("bad-certificate" if wanted == "certificate" else "bad-key")
    assert error.message == f"'{path}' is {what}, where a {wanted} in PEM is needed."
    convert = re.split(r"(?:Convert|Take|take)[^:]*: ", error.hint)[1]
    given = "-N '' -P '' -p" if "ssh-keygen -p" in convert else ""
    convert = convert.replace("-p", given, 1) if given else convert
    if "pkcs12" in convert:
        convert = convert.replace("-in", "-passin env:PASSWORD -passout env:PASSWORD -in", 1)
    done = run(convert, tmp_path)
    assert done.returncode == 0, done.stderr
    password = (PASSWORD,) if "-nocerts" in convert else ()
    assert READ[wanted](tmp_path / "key.new.pem", *password)


@pytest.mark.parametrize(("wanted", "command", "what"), [
    ("private key", SEC1 + "openssl pkey -in sec1 -pubout -out key", "a public key"),
    ("private key", CERTIFICATE + "cp cert key", "a certificate"),
    ("certificate", SEC1 + "cp sec1 key", "a private key"),
    ("certificate", SEC1 + "openssl pkey -in sec1 -pubout -out key", "a public key"),
    ("certificate", SEC1 + "openssl req -new -key sec1 -subj /CN=x -out key",
     "a request for a certificate"),
    ("private key", "ssh-keygen -q -t ed25519 -N '' -f key", "an Ed25519 key of OpenSSH"),
    ("public key", "ssh-keygen -q -t ed25519 -N '' -f key && mv key.pub key",
     "an Ed25519 key of OpenSSH"),
])  # fmt: skip
def test_something_else_is_named(made, wanted, command, what):
    path = made(command)
    error = refused(READ[wanted], path)
    assert error.message == f"'{path}' is {what}, where a {wanted} in PEM is needed."
    assert error.hint


@pytest.mark.parametrize(("label", "what"), [
    ("ENCRYPTED SIGSTORE PRIVATE KEY", "an encrypted private key of cosign"),
    ("ENCRYPTED COSIGN PRIVATE KEY", "an encrypted private key of cosign"),
    ("PGP PRIVATE KEY BLOCK", "a key of OpenPGP"),
    ("SOMETHING NEW", "a PEM file of the kind 'SOMETHING NEW'"),
])  # fmt: skip
@pytest.mark.parametrize("password", [(), (PASSWORD,)])
def test_forms_that_no_command_converts(tmp_path, label, what, password):
    path = tmp_path / "key"
    path.write_text(f"-----BEGIN {label}-----\neyJrZGYi\n-----END {label}-----\n")
    error = refused(private_keys.load_private, path, *password)
    assert error.message == f"'{path}' is {what}, where a private key in PEM is needed."
    assert "modelseal key generate" in error.hint


@pytest.mark.parametrize(("command", "kind"), [
    ("openssl ecparam -name secp256k1 -genkey -noout -out key", "elliptic curve secp256k1"),
    ("openssl genrsa -out key 1024", "RSA of 1024 bits"),
    ("openssl genpkey -algorithm ed448 -out key", "Ed448"),
    ("openssl genpkey -algorithm x25519 -out key", "X25519"),
    (DSA, "DSA"),
])  # fmt: skip
def test_a_key_of_another_kind_is_named(made, command, kind):
    error = refused(private_keys.load_private, made(command))
    assert (error.code, f"({kind})" in error.message) == ("unsupported-key", True)


def test_text_that_is_no_key_at_all(tmp_path):
    path = tmp_path / "key"
    for content in (b"", b"hello", b"\x30\x03\x02\x01\x03", b"\x30", b"\xff" * 99):
        path.write_bytes(content)
        for wanted, read in READ.items():
            assert f"has no {wanted} in PEM" in refused(read, path).message


def test_a_hint_can_be_pasted_into_a_shell_whatever_the_name(made, tmp_path):
    made(SEC1 + "openssl pkey -in sec1 -outform DER -out key")
    odd = tmp_path / "my key; rm -rf $HOME"
    (tmp_path / "key").rename(odd)
    done = run(refused(private_keys.load_private, odd).hint.removeprefix("Convert it: "), tmp_path)
    assert done.returncode == 0
    assert private_keys.load_private(tmp_path / "my key; rm -rf $HOME.new.pem")


@pytest.mark.parametrize(("value", "state"), [(None, "is not set"), ("", "is empty")])
def test_a_password_variable_that_has_none(tmp_path, value, state):
    arguments = ["key", "generate", tmp_path / "key", "--password-env", "KEY_PASSWORD"]
    done = invoke(*arguments, env={"KEY_PASSWORD": value})
    assert done.exit_code == 2
    assert f"variable 'KEY_PASSWORD' {state}." in done.stderr
    assert "[key-password]" in done.stderr
