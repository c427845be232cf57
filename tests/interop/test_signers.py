# SPDX-License-Identifier: Apache-2.0
"""What every signer by key writes, verified by each client that can, and refused once a bit flips.

A row is one bundle: how it was signed, what, and who saw it. Clients want a log entry and a
timestamp where the row says "logged"; where it says "stamped", they get a trusted root without
logs, as of a site that has none.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from itertools import product
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
import softhsm
from in_process import answers, invoke
from patience import PATIENCE
from rekor_v1 import LogV1

from modelseal.formats import oms
from modelseal.trust import keys, private_keys, signature

pytestmark = pytest.mark.interop

MODELSEAL = Path(sys.executable).with_name("modelseal")
KMS_SERVER = Path(__file__).parents[1] / "integration" / "kms_server.py"
PEERS = ("cosign", "sigstore-go", "sigstore-js")
CURVES = ("p256", "p384", "p521")


class Row(NamedTuple):
    holder: str  # of the key: pem, pkcs11, kms
    key: str
    what: str  # artifact, statement
    seen: str = "logged"  # logged (and timestamped), version-1, stamped

    def __str__(self) -> str:
        return "-".join(self)


ROWS = (
    *(Row("pem", key, "artifact") for key in (*CURVES, "rsa2048", "rsa3072", "rsa4096")),
    *(Row("pem", key, "statement") for key in CURVES),
    *(Row("pkcs11", key, "artifact") for key in (*CURVES, "rsa")),
    *(Row("pkcs11", key, "statement") for key in CURVES),
    *(Row("kms", key, "artifact") for key in ("ECC_NIST_P256", "ECC_NIST_P384", "RSA_2048")),
    *(Row("kms", key, "statement") for key in ("ECC_NIST_P256", "ECC_NIST_P384")),
    *(Row("pem", key, "artifact", "version-1") for key in (*CURVES, "rsa2048")),
    *(Row("pem", key, "statement", "version-1") for key in CURVES),
    *(Row("pem", key, "artifact", "stamped") for key in (*CURVES, "rsa2048", "ed25519")),
    *(Row("pem", key, "statement", "stamped") for key in CURVES),
)
BENT_ROWS = (
    *(Row("pem", key, "artifact") for key in ("p256", "p384", "rsa2048")),
    *(Row("pem", key, "statement") for key in ("p256", "p384")),
    *(Row("pem", "p256", what, "version-1") for what in ("artifact", "statement")),
    *(Row("pem", *rest, "stamped") for rest in (("p256", "statement"), ("ed25519", "artifact"))),
)


def beyond(peer: str, row: Row) -> bool:
    """Return whether `peer` does not verify such a row, whoever signed it."""
    if peer == "sigstore-js":
        # It hashes a statement with SHA-256 whatever the key, and gives Ed25519 a hash.
        large = row.what == "statement" and not row.key.endswith(("p256", "P256"))
        return large or row.key == "ed25519"
    return False


class Signed(NamedTuple):
    bundle: Path
    public: Path
    root: Path


class Workshop:
    """Signs each row once. `holders` give a key's name on the command line, file and variables."""

    def __init__(self, lab, folder: Path, holders) -> None:
        self.lab, self.folder, self.holders = lab, folder, holders
        self._made: dict[Row, Signed] = {}

    def signed(self, row: Row) -> Signed:
        if row not in self._made:
            self._made[row] = self._sign(row)
        return self._made[row]

    def _sign(self, row: Row) -> Signed:
        key, public, env = self.holders[row.holder](row.key)
        config, root = self.lab.instance.trust_config, self.lab.instance.trusted_root
        bundle, models = self.folder / f"{row}.json", self.lab.models
        options = ["--key", key, "--bundle", bundle, "--timestamp"]
        options += ["--password-env", "PIN"] if row.holder == "pkcs11" else []
        options += [] if row.seen == "stamped" else ["--log"]
        log = LogV1()
        with log.serve() as url:
            if row.seen == "version-1":
                config = self._write(row, "config", log.config(url, json.loads(config.read_text())))
                root = self._write(row, "root", json.loads(config.read_text())["trustedRoot"])
            elif row.seen == "stamped":
                root = self._write(row, "root", json.loads(root.read_text()) | {"tlogs": []})
            command = [MODELSEAL, "sign", models.path(row.what), *options, "--trust-config", config]
            done = subprocess.run(
                [str(part) for part in command],
                env=os.environ | env, capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return Signed(bundle, public, root)

    def _write(self, row: Row, what: str, value) -> Path:
        path = self.folder / f"{row}.{what}"
        path.write_text(json.dumps(value))
        return path

    def verified(self, peer: str, row: Row, bundle: Path | None = None):
        """Return the process that answered whether `bundle` is what `row` says."""
        signed = self.signed(row)
        claim = Signed(bundle or signed.bundle, signed.public, signed.root)
        return getattr(self, f"_{peer.replace('-', '_')}")(row, claim)

    def _cosign(self, row: Row, claim: Signed):
        options = [
            "--key", claim.public, "--bundle", claim.bundle, "--trusted-root", claim.root,
            "--use-signed-timestamps",
        ]  # fmt: skip
        options += ["--insecure-ignore-tlog"] if row.seen == "stamped" else []
        bits = {"p384": "sha384", "P384": "sha384", "p521": "sha512"}.get(row.key[-4:])
        options += ["--signature-digest-algorithm", bits] if bits else []
        cosign, models = self.lab.clients["cosign"], self.lab.models
        if row.what == "artifact":
            return cosign.run("verify-blob", *options, models.file)
        return cosign.run(
            "verify-blob-attestation", *options, "--type", oms.PREDICATE_TYPE,
            "--digest", models.root, "--digestAlg", "sha256",
        )  # fmt: skip

    def _sigstore_go(self, row: Row, claim: Signed):
        models = self.lab.models
        return self.lab.clients["sigstore-go"].run(
            "verify-bundle", "--bundle", claim.bundle, "--key", claim.public,
            "--trusted-root", claim.root,
            models.file if row.what == "artifact" else f"sha256:{models.root}",
        )  # fmt: skip

    def _sigstore_js(self, row: Row, claim: Signed):
        file = self.lab.models.file if row.what == "artifact" else "-"
        return self.lab.clients["sigstore-js"].run(
            "verify-key", file, claim.bundle, claim.root, claim.public
        )

    def _modelseal(self, row: Row, claim: Signed):
        done = invoke(
            "verify", self.lab.models.path(row.what), "--key", claim.public,
            "--bundle", claim.bundle, "--trusted-root", claim.root, "--format", "json",
        )  # fmt: skip
        (verdict,) = answers(done.stdout)
        if done.exit_code == 0:
            assert verdict["time"] is not None
            assert (verdict["log_index"] is None) == (row.seen == "stamped")
        return subprocess.CompletedProcess([], done.exit_code, verdict["code"], "")


@pytest.fixture(scope="module")
def workshop(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signers")

    def pem(kind):
        private = folder / f"{kind}.key"
        if not private.exists():
            private_keys.generate(private, kind)
        return private, private.with_suffix(".pub"), {}

    @functools.cache
    def token():
        (folder / "token").mkdir()
        return softhsm.make(folder / "token")

    def pkcs11(label):
        number = ("p256", "p384", "p521", "rsa").index(label) + 1
        public = token().folder / f"0a0{number}.pub"
        return f"pkcs11:token=release;object={label}", public, token().env

    command = [sys.executable, KMS_SERVER, "as-aws"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as service:
        port = int(service.stdout.readline())

        @functools.cache
        def kms(spec):
            env = {
                "AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example",
                "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true",
            }  # fmt: skip
            client = boto3.client(
                "kms", endpoint_url=f"http://127.0.0.1:{port}", region_name="eu-west-1",
                aws_access_key_id="example", aws_secret_access_key="example",
            )  # fmt: skip
            made = client.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
            der = client.get_public_key(KeyId=made)["PublicKey"]
            public = folder / f"{spec}.pub"
            public.write_bytes(keys.public_pem(signature.load_der(der)))
            return f"awskms://127.0.0.1:{port}/{made}", public, env

        yield Workshop(lab, folder, {"pem": pem, "pkcs11": pkcs11, "kms": kms})
        service.terminate()


CASES = [(peer, row) for row in ROWS for peer in ("modelseal", *PEERS)]


@pytest.mark.parametrize(("peer", "row"), CASES, ids=str)
def test_who_verifies_a_signature_by_key(peer, row, workshop):
    done = workshop.verified(peer, row)
    assert (done.returncode == 0) != beyond(peer, row), done.stderr + done.stdout


# -- one bit --------------------------------------------------------------------------------------


def flipped(text: str, index: int) -> str:
    """Return base64 with one bit of the encoded bytes changed."""
    raw = bytearray(b64decode(text))
    raw[index] ^= 1
    return b64encode(raw).decode()


def _content(bundle):
    return bundle.get("messageSignature") or bundle["dsseEnvelope"]


def _entry(bundle):
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    return entry


def signature_bit(bundle):
    content = _content(bundle)
    holder, name = (content, "signature") if "signature" in content else (
        content["signatures"][0], "sig"
    )  # fmt: skip
    holder[name] = flipped(holder[name], -6)


def content_bit(bundle):
    content = _content(bundle)
    holder = content.get("messageDigest", content)
    name = "digest" if "digest" in holder else "payload"
    holder[name] = flipped(holder[name], 20)


def timestamp_bit(bundle):
    stamps = bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    stamps[0]["signedTimestamp"] = flipped(stamps[0]["signedTimestamp"], -6)


def checkpoint_bit(bundle):
    signed = _entry(bundle)["inclusionProof"]["checkpoint"]
    text, _, line = signed["envelope"].rpartition(" ")
    signed["envelope"] = f"{text} {flipped(line.strip(), -6)}\n"


def proof_bit(bundle):
    hashes = _entry(bundle)["inclusionProof"]["hashes"]
    hashes[0] = flipped(hashes[0], 0)


def body_bit(bundle):
    entry = _entry(bundle)
    entry["canonicalizedBody"] = flipped(entry["canonicalizedBody"], -20)


def promise_bit(bundle):
    promise = _entry(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flipped(promise["signedEntryTimestamp"], -6)


BITS = {
    "logged": (signature_bit, content_bit, timestamp_bit, checkpoint_bit, proof_bit, body_bit),
    "version-1": (signature_bit, content_bit, checkpoint_bit, proof_bit, body_bit, promise_bit),
    "stamped": (signature_bit, content_bit, timestamp_bit),
}
BENT = [
    (bend, row, peer)
    for row in BENT_ROWS
    for bend, peer in product(BITS[row.seen], ("modelseal", *PEERS))
    if not beyond(peer, row)
    # Go clients read no version 2 body: they make it from the rest and prove that one.
    and not (bend is body_bit and row.seen == "logged" and peer in {"cosign", "sigstore-go"})
]


@pytest.mark.parametrize(
    ("bend", "row", "peer"), [pytest.param(*c, id=f"{c[0].__name__}-{c[1]}-{c[2]}") for c in BENT]
)
def test_one_bit_and_it_is_refused(bend, row, peer, workshop, tmp_path):
    bundle = json.loads(workshop.signed(row).bundle.read_text())
    bend(bundle)
    bent = tmp_path / "bent.json"
    bent.write_text(json.dumps(bundle))
    assert workshop.verified(peer, row, bent).returncode != 0
