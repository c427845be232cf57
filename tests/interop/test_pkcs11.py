# SPDX-License-Identifier: Apache-2.0
"""Keys in a PKCS#11 token: SoftHSM, as Debian has it (scripts/peers/install.py looks for it)."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from pathlib import Path

import pytest
import softhsm
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patience import PATIENCE
from softhsm import PIN, pem

pytestmark = pytest.mark.interop

# A pair made in the token; its private key wants the PIN for each signature, as smart cards do.
MAKE_PAIR = """
import sys, pkcs11
from pkcs11 import Attribute, KeyType
from pkcs11.util.ec import encode_ec_public_key, encode_named_curve_parameters
module, pin, out = sys.argv[1:]
curve = {Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
with pkcs11.lib(module).get_token(token_label="release").open(rw=True, user_pin=pin) as session:
    parameters = session.create_domain_parameters(KeyType.EC, curve, local=True)
    public, private = parameters.generate_keypair(
        label="each time", id=b"\\x77", store=True,
        private_template={Attribute.ALWAYS_AUTHENTICATE: True},
    )
    assert private[Attribute.ALWAYS_AUTHENTICATE]
    open(out, "wb").write(encode_ec_public_key(public))
"""
# What some cards have: the private key and its certificate only.
LEAVE_CERTIFICATE = """
import sys, pkcs11
from pkcs11 import Attribute, ObjectClass
from pkcs11.util.x509 import decode_x509_certificate
module, pin, path = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label="release").open(rw=True, user_pin=pin) as session:
    name = {Attribute.ID: b"\\x0a\\x08"}
    for one in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, **name}):
        one.destroy()
    if path != "-":
        der = open(path, "rb").read()
        session.create_object({**decode_x509_certificate(der), Attribute.TOKEN: True, **name})
"""


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return softhsm.make(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text("weights")
    return folder


WITH_PIN = ("--password-env", "PIN")


@pytest.mark.parametrize(
    ("asked", "public"),
    [
        ("token=release;object=p256", "0a01.pub"),
        ("token=release;object=p384;type=private", "0a02.pub"),
        ("token=release;id=%0a%03", "0a03.pub"),
        ("token=release;object=same%20name;id=%0A%05", "0a05.pub"),
        ("model=SoftHSM%20v2;manufacturer=SoftHSM%20project;token=release;id=%0a%06", "0a06.pub"),
    ],
)  # fmt: skip
def test_a_model(token, model_signing, model, asked, public):
    done = token.run("sign", model, "--key", f"pkcs11:{asked}", *WITH_PIN)
    assert done.returncode == 0, done.stderr
    assert token.run("verify", model, "--key", token.folder / public).returncode == 0
    peer = ("--public_key", token.folder / public, "--signature", model / "model.sig", model)
    assert model_signing("verify", "key", *peer).returncode == 0
    (model / "weights").write_text("other")
    assert token.run("verify", model, "--key", token.folder / public).returncode == 1


@pytest.mark.parametrize(("name", "public"), [("p256", "0a01.pub"), ("rsa", "0a04.pub")])
def test_a_file(token, model, name, public):
    uri = f"pkcs11:token=release;object={name}"
    done = token.run("sign", model / "weights", "--key", uri, *WITH_PIN)
    assert done.returncode == 0, done.stderr
    assert token.run("verify", model / "weights", "--key", token.folder / public).returncode == 0


def test_several_models_and_a_pin_in_a_file(token, model, tmp_path):
    pin, module = tmp_path / "pin", token.module
    pin.write_text(f"{PIN}\n")
    uri = f"pkcs11:token=release;object=p256?module-path={module}&pin-source="
    paths = (model, model / "weights")
    for source in (pin, f"file:{pin}", f"file://{pin}"):
        sign = ("sign", *paths, "--overwrite", "--key", f"{uri}{source}")
        assert token.run(*sign, MODELSEAL_PKCS11_MODULE="").returncode == 0
    assert token.refused(*sign, *WITH_PIN) == (2, "bad-options")
    sign = ("sign", *paths, "--overwrite", "--key", f"{uri}|echo {PIN}")
    assert token.refused(*sign)[1] == "bad-key-uri"
    sign = ("sign", *paths, "--overwrite", "--key", f"{uri}|cat")
    assert token.refused(*sign)[1] == "bad-key-uri"


def test_a_key_that_wants_the_pin_each_time(token, model, tmp_path):
    out = tmp_path / "made.der"
    command = [sys.executable, "-c", MAKE_PAIR, token.module, PIN, out]
    subprocess.run(command, env=token.env, check=True, timeout=PATIENCE)
    public = tmp_path / "made.pub"
    public.write_bytes(pem(serialization.load_der_public_key(out.read_bytes())))
    uri = "pkcs11:token=release;object=each%20time"
    done = token.run("sign", model, "--key", uri, *WITH_PIN)
    assert done.returncode == 0, done.stderr
    assert token.run("verify", model, "--key", public).returncode == 0


def test_a_token_with_a_certificate_and_no_public_key(token, model, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    public = token.import_key("card", "0a08", key)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "card")])
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, day, day)
    path = tmp_path / "card.der"
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
    sign = ("sign", model, "--key", "pkcs11:token=release;object=card", *WITH_PIN)
    for given, code in (("-", 2), (path, 0)):
        command = [sys.executable, "-c", LEAVE_CERTIFICATE, token.module, PIN, given]
        subprocess.run(command, env=token.env, check=True, timeout=PATIENCE)
        done = token.run(*sign)
        assert done.returncode == code, done.stderr
    assert token.run("verify", model, "--key", public).returncode == 0


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("token=release;object=nobody", (2, "no-such-key")), ("token=nobody", (2, "no-such-key")),
        ("token=release;serial=0", (2, "no-such-key")), ("token=other", (2, "no-such-key")),
        ("token=release;object=same%20name", (2, "ambiguous-key")),
        ("token=release", (2, "ambiguous-key")), ("token=twin;object=a", (2, "ambiguous-key")),
        ("token=release;object=rsa", (1, "unsupported-key")),
        ("token=release;object=p256;type=public", (2, "bad-key-uri")),
        (f"token=release;object=p256?pin-value={PIN}", (2, "bad-key-uri")),
    ],
)  # fmt: skip
def test_no_such_key_or_several(token, model, uri, said):
    assert token.refused("sign", model, "--key", f"pkcs11:{uri}", *WITH_PIN) == said
    assert not (model / "model.sig").exists()


def test_no_pin_and_a_wrong_one(token, model):
    sign = ("sign", model, "--key", "pkcs11:token=release;object=p256")
    assert token.refused(*sign) == (2, "key-password")
    assert token.refused(*sign, "--password-env", "WRONG") == (2, "key-password")
    assert token.refused(*sign, "--password-env", "WRONG", WRONG="") == (2, "key-password")
    assert token.refused(*sign, "--password-env", "WRONG", WRONG="\udcff") == (2, "key-password")
    assert token.refused(*sign, "--password-env", "UNSET") == (2, "key-password")


def test_modules_that_are_none(token, model, tmp_path):
    sign = ("sign", model, "--key", "pkcs11:token=release;object=p256", *WITH_PIN)
    text = tmp_path / "text.so"
    text.write_text("no library")
    libc = next(Path("/lib").glob("*/libm.so.6"), text)
    for module in ("/nowhere.so", "libsofthsm2.so", str(tmp_path), str(text), str(libc)):
        told = token.refused(*sign, MODELSEAL_PKCS11_MODULE=module)
        assert told == (2, "pkcs11-module"), module
    told = token.refused(*sign, SOFTHSM2_CONF="/nowhere")
    assert told in {(2, "pkcs11-module"), (2, "no-such-key")}
