# SPDX-License-Identifier: Apache-2.0
"""Signatures by key that are logged and timestamped, and witnesses that lie, refuse or are gone."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from in_process import answers, invoke
from patience import PATIENCE
from rekor_v1 import LogV1
from small_server import Asked, Said, serving
from verifying import proved_by_key

from modelseal.formats import bundle as bundle_format
from modelseal.trust import keys, private_keys, signature
from modelseal.trust.trust_root import from_trust_config
from modelseal.verification.checks import authority

BOTH = ("--log", "--timestamp")
HOUR = timedelta(hours=1)
FILE_KINDS = ("p256", "p384", "p521", "rsa2048")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for kind in (*FILE_KINDS, "ed25519"):
        made[kind] = folder / f"{kind}.key", private_keys.generate(folder / f"{kind}.key", kind)
    return made


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_text(f"weights of {tmp_path}")  # RSA signs a file once only
    return folder


def refused(*arguments):
    """Return the exit code and the error's code."""
    done = invoke(*arguments)
    assert "Traceback" not in done.output
    return done.exit_code, done.output.splitlines()[0].rpartition("[")[2].rstrip("]")


def said(*arguments):
    done = invoke("verify", *arguments, "--format", "json")
    (verdict,) = answers(done.stdout)
    return verdict


# -- witnesses that do their work ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_a_folder(kind, pairs, model, instance):
    private, public = pairs[kind]
    done = invoke("sign", model, "--key", private, *BOTH, "--trust-config", instance.trust_config)
    assert done.exit_code == 0, done.output
    verdict = said(model, "--key", public, "--trusted-root", instance.trusted_root)
    assert verdict["verdict"] == "accepted", verdict
    assert verdict["time"] is not None
    assert f"log index  {verdict['log_index']}" in done.output


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_file(kind, pairs, model, instance):
    private, public = pairs[kind]
    file = model / "weights"
    sign = ("sign", file, "--key", private, "--trust-config", instance.trust_config, *BOTH)
    assert invoke(*sign).exit_code == 0
    verdict = said(file, "--key", public, "--trusted-root", instance.trusted_root)
    assert verdict["verdict"] == "accepted", verdict
    assert verdict["time"] is not None
    again = (*sign, "--overwrite")
    if kind == "rsa2048":  # it signs alike each time
        assert refused(*again) == (3, "already-logged")
    else:
        assert invoke(*again).exit_code == 0


def test_one_of_both(pairs, model, instance):
    private, public = pairs["p256"]
    sign = ("sign", model, "--key", private, "--trust-config", instance.trust_config, "--overwrite")
    asked = (model, "--key", public, "--trusted-root", instance.trusted_root)
    assert invoke(*sign, "--log").exit_code == 0
    verdict = said(*asked)
    assert (verdict["verdict"], verdict["time"]) == ("accepted", None)
    assert invoke(*sign, "--timestamp").exit_code == 0
    assert said(*asked)["code"] == "not-logged"
    assert said(*asked[:3])["verdict"] == "accepted"
    for flag in ("--not-logged", "--insecure-ignore-tlog"):
        verdict = said(*asked, flag)
        assert (verdict["verdict"], verdict["log_index"]) == ("accepted", None)
        assert verdict["time"] is not None  # the timestamp is checked all the same


def test_ed25519_is_timestamped_but_not_logged(pairs, model, instance):
    private, _ = pairs["ed25519"]
    file = model / "weights"
    sign = ("sign", file, "--key", private, "--trust-config", instance.trust_config)
    assert refused(*sign, "--log") == (1, "unsupported-key")
    assert invoke(*sign, "--timestamp").exit_code == 0
    material = json.loads((model / "weights.sigstore.json").read_text())["verificationMaterial"]
    assert len(material["timestampVerificationData"]["rfc3161Timestamps"]) == 1
    assert not material["tlogEntries"]


def certified(folder):
    """Write a key with a certificate for one hour and the CA that issued it."""
    now = datetime.now(UTC).replace(microsecond=0)
    ca, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in ("ca", "leaf")]

    def issued(name, public, end, usage, *, is_ca):
        builder = x509.CertificateBuilder(names[0], name, public, 7, now - HOUR, end)
        builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            ca.public_key()), critical=False)  # fmt: skip
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(public), critical=False
        )
        if not is_ca:
            purpose = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CODE_SIGNING])
            builder = builder.add_extension(purpose, critical=False)
        return builder.add_extension(usage, critical=True).sign(ca, hashes.SHA256())

    flags = dict.fromkeys((
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ), False)  # fmt: skip
    signs = x509.KeyUsage(**(flags | {"digital_signature": True}))
    issues = x509.KeyUsage(**(flags | {"key_cert_sign": True}))
    root = issued(names[0], ca.public_key(), now + 99 * HOUR, issues, is_ca=True)
    leaf = issued(names[1], key.public_key(), now + HOUR, signs, is_ca=False)
    paths = [folder / name for name in ("leaf.key", "leaf.pem", "root.pem")]
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, data in zip(
        paths, (private, *(c.public_bytes(Encoding.PEM) for c in (leaf, root))), strict=True
    ):
        path.write_bytes(data)
    return paths


@pytest.mark.parametrize("path", [".", "weights"])
def test_a_certificate_that_expired_is_accepted_for_its_timestamp(
    path, model, instance, tmp_path, monkeypatch
):
    key, leaf, root = certified(tmp_path)
    target = (model / path).resolve()
    sign = ("sign", target, "--key", key, "--certificate", leaf, "--overwrite")
    asked = (target, "--certificate-chain", root, "--trusted-root", instance.trusted_root)

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + 2 * HOUR

    monkeypatch.setattr(authority, "datetime", Later)
    assert invoke(*sign).exit_code == 0
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'version = 1\ndefault = "deny"\n[trust]\nroot = "{instance.trusted_root}"\n'
        f'[signers.owner]\ncertificate_chain = "{root}"\nlogged = false\n'
        f'[[rule]]\nmodels = ["*"]\nsigners = ["owner"]\nallow_ignored = ["*"]\n'
    )
    assert said(*asked)["code"] == "not-logged"
    assert said(target, "--policy", policy)["code"] == "certificate-expired"
    stamped = ("--timestamp", "--trust-config", instance.trust_config)
    assert invoke(*sign, *stamped).exit_code == 0
    assert said(target, "--policy", policy)["code"] == "accepted"
    done = invoke(*sign, *BOTH, "--trust-config", instance.trust_config)
    assert done.exit_code == 0, done.output
    verdict = said(*asked)
    assert verdict["verdict"] == "accepted", verdict
    assert f"log index  {verdict['log_index']}" in done.output


@pytest.mark.parametrize(
    ("path", "kind"),
    [("weights", kind) for kind in FILE_KINDS] + [(".", kind) for kind in FILE_KINDS[:3]],
)
def test_a_log_of_version_1(path, kind, pairs, model, instance, tmp_path):  # noqa: PLR0917 - pytest passes names
    private, public = pairs[kind]
    target, log = (model / path).resolve(), LogV1()
    bundle, config = tmp_path / "bundle.json", tmp_path / "config.json"
    with log.serve() as url:
        made = log.config(url, json.loads(instance.trust_config.read_text()))
        config.write_text(json.dumps(made))
        sign = ("sign", target, "--key", private, "--trust-config", config, "--bundle", bundle)
        done = invoke(*sign, "--log")
        assert done.exit_code == 0, done.output
    signed, trust = bundle_format.parse(bundle.read_bytes()), from_trust_config(config)
    (entry,) = signed.entries
    assert (entry.kind, entry.version) == ("dsse" if path == "." else "hashedrekord", "0.0.1")
    artifact = None
    if path != ".":
        name = signature.hash_names(keys.load_public(public))[0]
        digest = hashlib.new(name, target.read_bytes()).digest()
        artifact = signature.Prehashed(name, digest)
    (logged_at,) = proved_by_key(signed, keys.load_public(public), trust, artifact).times
    assert logged_at.timestamp() == entry.integrated_time


# -- witnesses that do not -------------------------------------------------------------------------


def relayed(instance, alter):
    """Serve the services of `instance`; `alter(asked, said)` may change their answers."""

    def answer(asked: Asked) -> Said:
        kind = asked.headers["content-type"]
        request = Request(instance.url + asked.path, asked.body, {"Content-Type": kind})
        with urlopen(request, timeout=PATIENCE) as answered:
            said = Said(answered.read(), answered.status, answered.headers["Content-Type"])
        return alter(asked, said)

    return serving(answer)


def test_a_timestamp_authority_that_takes_its_time(pairs, model, instance, tmp_path, monkeypatch):
    monkeypatch.setattr("sigstore._internal.timestamp.CLIENT_TIMEOUT", 0.05)  # 5 s are as short

    def slow(asked, said):
        time.sleep(0.5)
        return said

    with relayed(instance, slow) as url:
        config = config_at(url, instance, tmp_path / "slow.json")
        sign = ("sign", model / "weights", "--key", pairs["p256"][0], "--trust-config", config)
        done = invoke(*sign, "--timestamp")
    assert done.exit_code == 0, done.output


def config_at(url, instance, path):
    """Write the trust config of `instance` with its log and authority at `url`; return where."""
    path.write_text(instance.trust_config.read_text())
    config = json.loads(path.read_text())
    services = config["signingConfig"]
    services["rekorTlogUrls"][0]["url"] = url
    services["tsaUrls"][0]["url"] = f"{url}/api/v1/timestamp"
    path.write_text(json.dumps(config))
    return path


def repeated():
    """Return the paths that are asked for, and what answers each of them as the first."""
    asked_for, answers = [], []

    def alter(asked, said):
        asked_for.append(asked.path)
        answers.append(said)
        return answers[0]

    return asked_for, alter


def flipped(text):
    raw = bytearray(b64decode(text))
    raw[-2] ^= 1
    return b64encode(raw).decode()


def another_body(entry):
    body = json.loads(b64decode(entry["canonicalizedBody"]))
    digest = body["spec"]["hashedRekordV002"]["data"]
    digest["digest"] = flipped(digest["digest"])
    entry["canonicalizedBody"] = b64encode(json.dumps(body).encode()).decode()


def another_root(entry):
    entry["inclusionProof"]["rootHash"] = flipped(entry["inclusionProof"]["rootHash"])


def another_index(entry):
    entry["logIndex"] = str(int(entry["logIndex"]) - 1)


def no_proof(entry):
    del entry["inclusionProof"]


def another_checkpoint(entry):
    text = entry["inclusionProof"]["checkpoint"]
    text["envelope"] = text["envelope"][:-4] + "AA=\n"


def another_log(entry):
    entry["logId"]["keyId"] = flipped(entry["logId"]["keyId"])


LIES = (another_body, another_root, another_index, another_checkpoint, another_log)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("path", [".", "weights"])
def test_a_log_that_lies_gives_no_bundle(lie, path, pairs, model, instance, tmp_path):  # noqa: PLR0917 - pytest passes names
    def alter(asked, said):
        if "timestamp" in asked.path:
            return said
        entry = json.loads(said.body)
        lie(entry)
        return said._replace(body=json.dumps(entry).encode())

    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        sign = ("sign", model / path, "--key", pairs["p256"][0], "--trust-config", config)
        assert refused(*sign, *BOTH) == (3, "witness-wrong")
    assert not list(tmp_path.rglob("*.sig*"))


def test_the_entry_of_another_signature_gives_no_bundle(pairs, model, instance, tmp_path):
    asked_for, alter = repeated()
    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", config, "--overwrite")
        assert invoke(*sign, "--log").exit_code == 0
        before = (model / "model.sig").read_bytes()
        assert refused(*sign, "--log") == (3, "witness-wrong")
    assert (model / "model.sig").read_bytes() == before
    assert len(asked_for) == 2


def test_a_timestamp_of_another_signature_keeps_it_out_of_the_log(pairs, model, instance, tmp_path):
    asked_for, alter = repeated()
    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", config, "--overwrite")
        assert invoke(*sign, "--timestamp").exit_code == 0
        assert refused(*sign, *BOTH) == (3, "witness-wrong")
    assert asked_for == ["/api/v1/timestamp"] * 2


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Said(b'{"message": "no more disk"}', 500), "instance-refused"),
        (Said(b"<html>", 200, "text/html"), "signing-failed"),
        (Said(b"", 200), "signing-failed"), (Said(b"{}", 200), "signing-failed"),
        (Said(b'{"message": "have it"}', 409), "already-logged"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("option", BOTH)
def test_an_answer_that_is_none(option, answer, code, pairs, model, instance, tmp_path):  # noqa: PLR0917 - pytest passes names
    with serving(lambda _: answer) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", config, option)
        assert refused(*sign) == (3, code)
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize("option", BOTH)
def test_a_witness_that_is_gone(option, pairs, model, instance, tmp_path):
    with serving(lambda _: Said(b"")) as url:
        config = config_at(url, instance, tmp_path / "config.json")
    sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", config, option)
    assert refused(*sign) == (3, "instance-unreachable")
    assert not (model / "model.sig").exists()


@pytest.mark.parametrize(
    ("option", "member"), [("--log", "rekorTlogUrls"), ("--timestamp", "tsaUrls")]
)
def test_an_instance_without_the_witness(option, member, pairs, model, instance, tmp_path):  # noqa: PLR0917 - pytest passes names
    config = json.loads(instance.trust_config.read_text())
    config["signingConfig"][member] = []
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", path, option)
    assert refused(*sign) == (3, "no-signing-service")


def test_witnesses_whose_keys_are_not_trusted(pairs, model, instance, tmp_path):
    config = json.loads(instance.trust_config.read_text())
    path = tmp_path / "config.json"
    for option, member in (("--log", "tlogs"), ("--timestamp", "timestampAuthorities")):
        root = config["trustedRoot"] | {member: []}
        path.write_text(json.dumps(config | {"trustedRoot": root}))
        sign = ("sign", model, "--key", pairs["p256"][0], "--trust-config", path, option)
        assert refused(*sign) == (3, "witness-wrong")


# -- with an identity: sigstore-python itself goes on without a timestamp and checks nothing -------


def keyless(config, instance, model):
    token = ("--identity-token", instance.token())
    return ("sign", model, "--trust-config", config, *token, "--overwrite")


@pytest.mark.parametrize("answer", [b"<html>", b"", b"{}"])
def test_with_an_identity_no_timestamp_means_no_entry(answer, model, instance, tmp_path):
    asked_for = []

    def alter(asked, said):
        asked_for.append(asked.path)
        return said._replace(body=answer)

    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        assert refused(*keyless(config, instance, model)) == (3, "signing-failed")
    assert asked_for == ["/api/v1/timestamp"]
    assert not (model / "model.sig").exists()


def test_with_an_identity_a_wrong_timestamp_means_no_entry(model, instance, tmp_path):
    asked_for, stamps = [], []

    def alter(asked, said):
        asked_for.append(asked.path)
        if "timestamp" not in asked.path:
            return said
        stamps.append(said)
        return stamps[0]

    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        assert invoke(*keyless(config, instance, model)).exit_code == 0
        before = (model / "model.sig").read_bytes()
        assert refused(*keyless(config, instance, model)) == (3, "witness-wrong")
    assert asked_for[-1] == "/api/v1/timestamp"
    assert (model / "model.sig").read_bytes() == before


def test_with_an_identity_an_authority_that_nobody_trusts_means_no_entry(model, instance, tmp_path):
    asked_for = []

    def alter(asked, said):
        asked_for.append(asked.path)
        return said

    with relayed(instance, alter) as url:
        path = config_at(url, instance, tmp_path / "config.json")
        config = json.loads(path.read_text())
        config["trustedRoot"]["timestampAuthorities"] = []
        path.write_text(json.dumps(config))
        assert refused(*keyless(path, instance, model)) == (3, "witness-wrong")
    assert asked_for == ["/api/v1/timestamp"]


@pytest.mark.parametrize("lie", LIES)
def test_with_an_identity_a_log_that_lies_gives_no_bundle(lie, model, instance, tmp_path):
    def alter(asked, said):
        if "timestamp" in asked.path:
            return said
        entry = json.loads(said.body)
        lie(entry)
        return said._replace(body=json.dumps(entry).encode())

    with relayed(instance, alter) as url:
        config = config_at(url, instance, tmp_path / "config.json")
        code = refused(*keyless(config, instance, model))
    assert code in {(3, "witness-wrong"), (3, "signing-failed")}  # some the library finds itself
    assert not (model / "model.sig").exists()


def ca_at(url, instance, path):
    """Write the trust config of `instance` with its certificate authority at `url`."""
    config = json.loads(instance.trust_config.read_text())
    config["signingConfig"]["caUrls"][0]["url"] = url
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"", b"{}", b"[]", b"7", b'{"signedCertificateEmbeddedSct": {}}',
     b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": []}}}',
     b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": [1, 2]}}}',
     b'{"signedCertificateEmbeddedSct": {"chain": {"certificates": ["a", "b"]}}}'],
)  # fmt: skip
def test_an_authority_whose_answer_is_no_certificate(answer, model, instance, tmp_path):
    with serving(lambda _: Said(answer)) as url:
        config = ca_at(url, instance, tmp_path / "config.json")
        assert refused(*keyless(config, instance, model)) == (3, "signing-failed")
    assert not (model / "model.sig").exists()


def test_a_certificate_that_expires_between_two_models(model, instance, monkeypatch):
    """Ten minutes are short for thousands of models."""
    from sigstore import sign  # noqa: PLC0415 - one test needs it
    from sigstore._internal.fulcio import ExpiredCertificate  # noqa: PLC0415 - as above

    really, signers = sign.Signer.sign_artifact, []

    def expiring(self, *given):
        signers.append(self)
        if len(signers) == 2:
            raise ExpiredCertificate
        return really(self, *given)

    monkeypatch.setattr(sign.Signer, "sign_artifact", expiring)
    (model / "more").write_text("more weights")
    _, _, *options = keyless(instance.trust_config, instance, model)
    assert invoke("sign", model / "weights", model / "more", *options).exit_code == 0
    first, second, third = signers
    assert first is second is not third
    for name in ("weights", "more"):
        verdict = said(model / name, "--identity", "alice@example.com", "--issuer",
                       instance.issuer, "--trusted-root", instance.trusted_root)  # fmt: skip
        assert verdict["verdict"] == "accepted"
