# SPDX-License-Identifier: Apache-2.0
"""tests/conformance/client, run as a conformance suite runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patience import PATIENCE

from modelseal.formats import intoto
from modelseal.formats.bundle import Bundle, MessageSignature, to_bytes

TESTS = Path(__file__).parents[1]
CLIENT = [sys.executable, "-I", TESTS / "conformance" / "client"]
VECTORS = TESTS / "vectors"
A_TXT = "sha256:a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf"
ALICE = "alice@example.com"


def client(*arguments: object) -> int:
    done = subprocess.run(
        [*CLIENT, *map(str, arguments)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    for fault in ("Traceback", "should not have happened"):
        assert fault not in done.stderr, done.stderr
    assert done.returncode == 0 or done.stderr
    return done.returncode


def digest(path: Path) -> str:
    return f"sha256:{sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("case", sorted((VECTORS / "conformance").glob("*/")), ids=lambda p: p.name)
def test_cases_of_the_suite(case):
    key = case / "key.pub"
    root = case / "trusted_root.json"
    status = client(
        "verify-bundle", "--bundle", case / "bundle.sigstore.json",
        "--key", key, "--trusted-root", root, A_TXT,
    )  # fmt: skip
    assert status == (1 if case.name.endswith("_fail") else 0)


def test_bundles_of_2023_by_the_embedded_roots(tmp_path):
    folder = VECTORS / "sigstore-python"
    bundle, artifact = folder / "v0.1.sigstore", folder / "bundle.txt"
    who = (
        "--certificate-identity", "a@tny.town",
        "--certificate-oidc-issuer", "https://github.com/login/oauth",
    )  # fmt: skip
    for given in (artifact, digest(artifact)):
        assert client("verify-bundle", "--staging", "--bundle", bundle, *who, given) == 0
        assert client("verify-bundle", "--bundle", bundle, *who, given) == 1
    stranger = ("--certificate-identity", "mallory@example.com", *who[2:])
    assert client("verify-bundle", "--staging", "--bundle", bundle, *stranger, artifact) == 1


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("conformance") / "a.txt"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("in_toto", [False, True])
def test_signs_and_verifies_with_an_instance(in_toto, instance, artifact, tmp_path):
    bundle, given = tmp_path / "bundle.json", artifact
    if in_toto:
        given = tmp_path / "statement.json"
        subject = intoto.Subject("a.txt", (("sha256", sha256(b"weights").hexdigest()),))
        statement = intoto.Statement((subject,), "https://example.com/predicate", {})
        given.write_bytes(intoto.to_bytes(statement))
    made = client(
        "sign-bundle", *(["--in-toto"] if in_toto else []),
        "--identity-token", instance.token(ALICE), "--bundle", bundle,
        "--trusted-root", instance.trusted_root, "--signing-config", instance.signing_config, given,
    )  # fmt: skip
    assert made == 0
    asked = (
        "verify-bundle", "--bundle", bundle, "--certificate-identity", ALICE,
        "--certificate-oidc-issuer", instance.issuer,
    )  # fmt: skip
    trusted = ("--trusted-root", instance.trusted_root)
    other = tmp_path / "b.txt"
    other.write_bytes(b"other")
    for right, wrong in ((artifact, other), (digest(artifact), digest(other))):
        assert client(*asked, *trusted, right) == 0
        assert client(*asked, *trusted, wrong) == 1
    assert client(*asked, artifact) == 1
    key = key_file(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    assert client("verify-bundle", "--bundle", bundle, "--key", key, *trusted, artifact) == 1


def instances_files(instance) -> tuple[object, ...]:
    return (
        "--trusted-root", instance.trusted_root, "--signing-config", instance.signing_config
    )  # fmt: skip


@pytest.mark.parametrize("content", [b"weights", b""])
def test_what_is_signed_has_one_certificate_and_one_entry(content, instance, tmp_path):
    """test_sign_does_not_produce_root and test_sign_verify_rekor2 of the suite."""
    path, bundle = tmp_path / "a.txt", tmp_path / "bundle.json"
    path.write_bytes(content)
    token = ("--identity-token", instance.token(ALICE))
    for _ in range(2):  # the second time over the first
        made = client("sign-bundle", *token, "--bundle", bundle, *instances_files(instance), path)
        assert made == 0
    written = json.loads(bundle.read_bytes())
    assert written["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert not written.get("dsseEnvelope")
    material = written["verificationMaterial"]
    assert "x509CertificateChain" not in material
    leaf = x509.load_der_x509_certificate(b64decode(material["certificate"]["rawBytes"]))
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    (entry,) = material["tlogEntries"]
    assert entry["kindVersion"] == {"kind": "hashedrekord", "version": "0.0.2"}
    who = ("--certificate-identity", ALICE, "--certificate-oidc-issuer", instance.issuer)
    trusted = ("--trusted-root", instance.trusted_root)
    assert client("verify-bundle", "--bundle", bundle, *who, *trusted, path) == 0


def test_the_statement_is_signed_as_it_was_given(instance, tmp_path):
    """test_sign_verify_dsse of the suite: white space, order and members stay."""
    given, bundle = tmp_path / "statement.json", tmp_path / "bundle.json"
    digest_of = sha256(b"weights").hexdigest()
    given.write_text(
        '{"predicateType": "https://example.com/p",\n "subject": [{"name": "ä", "digest": '
        f'{{"sha256": "{digest_of}"}}}}], "predicate": {{"b": 1, "a": [1.0]}},\n'
        ' "_type": "https://in-toto.io/Statement/v1"}\n'
    )
    made = client(
        "sign-bundle", "--in-toto", "--identity-token", instance.token(ALICE), "--bundle", bundle,
        *instances_files(instance), given,
    )  # fmt: skip
    assert made == 0
    envelope = json.loads(bundle.read_bytes())["dsseEnvelope"]
    assert b64decode(envelope["payload"]) == given.read_bytes()


def test_what_cannot_be_signed_is_said_in_words(instance, artifact, tmp_path):
    bundle = tmp_path / "bundle.json"
    token, both = instance.token(ALICE), instances_files(instance)
    nowhere = tmp_path / "signing_config.json"
    nowhere.write_text(
        Path(instance.signing_config).read_text().replace(instance.url, "http://127.0.0.1:9")
    )

    def sign(*options: object, identity: str = token, path: Path = artifact) -> int:
        return client(
            "sign-bundle", "--identity-token", identity, "--bundle", bundle, *options, path
        )

    assert sign(*both, identity="no token") == 3
    assert sign(*both, path=tmp_path / "missing") == 2
    # The public instance's root does not vouch for what this instance certifies.
    assert sign("--signing-config", instance.signing_config) == 3
    assert sign("--trusted-root", instance.trusted_root, "--signing-config", nowhere) == 3
    assert sign("--trusted-root", artifact, "--signing-config", artifact) == 1
    assert not bundle.exists()


def key_file(folder: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    path = folder / "key.pub"
    path.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return path


def test_a_managed_key_without_log_needs_a_root_without_logs(artifact, instance, tmp_path):
    private = ec.generate_private_key(ec.SECP256R1())
    signed = private.sign(b"weights", ec.ECDSA(hashes.SHA256()))
    noted = sha256(b"weights").digest()
    made = Bundle(
        "application/vnd.dev.sigstore.bundle.v0.3+json", (), "hint", (), (),
        MessageSignature(signed, noted, "SHA2_256"),
    )  # fmt: skip
    bundle, empty = tmp_path / "bundle.json", tmp_path / "root.json"
    bundle.write_bytes(to_bytes(made))
    empty.write_text('{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    key = key_file(tmp_path, private)
    asked = ("verify-bundle", "--bundle", bundle, "--key", key, "--trusted-root")
    for given in (artifact, digest(artifact)):
        assert client(*asked, empty, given) == 0
        assert client(*asked, instance.trusted_root, given) == 1
    both = ("--certificate-identity", ALICE, "--certificate-oidc-issuer", instance.issuer)
    assert client(*asked, empty, *both, artifact) == 2


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"mediaType": 1}', "\x00"])
def test_what_is_no_bundle_is_refused_in_words(content, artifact, tmp_path):
    bundle = tmp_path / "bundle.json"
    bundle.write_text(content)
    who = ("--certificate-identity", ALICE, "--certificate-oidc-issuer", "https://issuer.example")
    assert client("verify-bundle", "--bundle", bundle, *who, artifact) == 1
    assert client("verify-bundle", "--bundle", tmp_path / "missing", *who, artifact) == 2
