# SPDX-License-Identifier: Apache-2.0
"""tests/conformance/oms, run as the conformance suite of OpenSSF Model Signing runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from patience import PATIENCE

from modelseal.trust import keys, private_keys

TESTS = Path(__file__).parents[1]
CLIENT = [sys.executable, "-I", TESTS / "conformance" / "oms"]
VECTORS = TESTS / "vectors" / "model-signing"
ALICE = "alice@example.com"


def oms(*arguments: object) -> int:
    done = subprocess.run(
        [*CLIENT, *map(str, arguments)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0 or done.stderr
    return done.returncode


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref")
    (folder / "sub" / ".cache").mkdir(parents=True)
    for name in ("signme-1", "signme-2", "sub/ignore-me", "sub/.gitignore", "sub/.cache/模型"):
        (folder / name).write_text(name)
    (folder / "empty").touch()
    return folder


@pytest.fixture
def key(tmp_path):
    private = tmp_path / "key.pem"
    return private, private_keys.generate(private, "p384")


@pytest.fixture
def signed(model, key, tmp_path):
    bundle = tmp_path / "bundle.sig"
    assert oms(*by_key(model, key, bundle)) == 0
    return bundle


def by_key(model, key, bundle, *options):
    return (
        "sign-model", "--method", "key", "--model-path", model, "--output-bundle", bundle,
        "--private-key", key[0], *options,
    )  # fmt: skip


def verified(model, key, bundle, *options) -> int:
    return oms(
        "verify-model", "--method", "key", "--model-path", model, "--bundle", bundle,
        "--public-key", key[1], *options,
    )  # fmt: skip


def names(bundle) -> list[str]:
    payload = json.loads(bundle.read_text())["dsseEnvelope"]["payload"]
    return [r["name"] for r in json.loads(b64decode(payload))["predicate"]["resources"]]


def test_a_folder_in_the_form_of_the_specification(model, key, signed):
    assert names(signed) == [
        "empty", "signme-1", "signme-2", "sub/.cache/模型", "sub/.gitignore", "sub/ignore-me",
    ]  # fmt: skip
    material = json.loads(signed.read_text())["verificationMaterial"]
    assert material == {
        "tlogEntries": [],
        "publicKey": {"hint": keys.hints(keys.load_public(key[1]))[0]},
    }
    assert verified(model, key, signed) == 0


def test_ignored_paths_are_exact(model, key, tmp_path):
    bundle = tmp_path / "bundle.sig"
    (model / "ignore-me").write_text("top")
    assert oms(*by_key(model, key, bundle, "--ignore-paths", model / "ignore-me")) == 0
    assert "sub/ignore-me" in names(bundle)
    assert "ignore-me" not in names(bundle)
    assert verified(model, key, bundle) == 0


def test_a_bundle_inside_the_model_is_no_part_of_it(model, key):
    bundle = model / "sub" / "my.sig"
    assert oms(*by_key(model, key, bundle)) == 0
    assert verified(model, key, bundle) == 0


def test_one_file(model, key, tmp_path):
    bundle = tmp_path / "bundle.sig"
    assert oms(*by_key(model / "signme-1", key, bundle)) == 0
    assert names(bundle) == ["signme-1"]
    assert verified(model / "signme-1", key, bundle) == 0
    assert verified(model / "signme-2", key, bundle) == 1


@pytest.mark.parametrize("target", [".", "signme-1", "/tmp/nonexistent-target"])
def test_links_are_refused_by_default(model, key, tmp_path, target):
    (model / "link").symlink_to(target)
    assert oms(*by_key(model, key, tmp_path / "bundle.sig")) == 1


@pytest.mark.parametrize(
    ("links", "code"),
    [
        ({"link": "signme-1"}, 0),
        ({"link": "sub"}, 0),  # a folder is walked
        ({"link": "signme-1", "sub/again": "../link", "third": "signme-1"}, 0),
        ({"link": "nowhere"}, 1),
        ({"link": "."}, 1),
        ({"sub/up": ".."}, 1),
        ({"one": "two", "two": "one"}, 1),
        ({"link": "../outside"}, 1),  # section 6.1.1 wants a warning; here it is a no
        ({"link": "/etc/hostname"}, 1),
        ({"link": "sub/../../outside"}, 1),
    ],
)
def test_links_that_are_allowed(model, key, tmp_path, links, code):
    (tmp_path / "outside").write_text("outside")
    for name, target in links.items():
        (model / name).symlink_to(target)
    bundle = tmp_path / "bundle.sig"
    assert oms(*by_key(model, key, bundle, "--allow-symlinks")) == code
    if code == 0:
        assert set(links) <= {one.split("/ignore-me")[0] for one in names(bundle)} | {"link"}
        assert verified(model, key, bundle) == 0
        (model / "link").unlink()
        (model / "link").symlink_to("../outside")
        assert verified(model, key, bundle) == 1
        (model / "link").unlink()
        assert verified(model, key, bundle) == 1


def test_what_is_written_has_the_members_of_the_schema_and_no_more(model, key, tmp_path):
    """The schemas of the specification, v1.0: their members, required and allowed."""
    for options in ((), ("--shard-size", 4), ("--allow-symlinks",)):
        bundle = tmp_path / "bundle.sig"
        assert oms(*by_key(model, key, bundle, *options)) == 0
        said = json.loads(bundle.read_text())
        assert said.keys() == {"mediaType", "verificationMaterial", "dsseEnvelope"}
        envelope = said["dsseEnvelope"]
        assert envelope.keys() == {"payload", "payloadType", "signatures"}
        assert [one.keys() for one in envelope["signatures"]] == [{"sig", "keyid"}]
        statement = json.loads(b64decode(envelope["payload"]))
        assert statement.keys() == {"_type", "subject", "predicateType", "predicate"}
        assert statement["subject"][0]["name"] == model.name
        predicate = statement["predicate"]
        assert predicate.keys() == {"resources", "serialization"}
        assert {tuple(sorted(r)) for r in predicate["resources"]} == {
            ("algorithm", "digest", "name")
        }
        sharded = {"shard_size"} if "--shard-size" in options else set()
        how = predicate["serialization"]
        assert how.keys() == {"method", "hash_type", "allow_symlinks", "ignore_paths"} | sharded
        assert all(type(size) is int for size in (how[name] for name in sharded))
        assert how["allow_symlinks"] is ("--allow-symlinks" in options)


@pytest.mark.parametrize("pattern", ["*", "sub/*.tmp", "signme-?", "[s]ignme-1"])
def test_ignored_paths_are_no_patterns(model, key, tmp_path, pattern):
    """Section 6.2.1 wants none recorded."""
    bundle = tmp_path / "bundle.sig"
    assert oms(*by_key(model, key, bundle, "--ignore-paths", model / pattern)) == 2
    assert not bundle.exists()


def test_what_is_not_signed_may_be_anything_where_it_is_ignored(model, key, signed):
    """Section 8.5: only what is listed counts."""
    (model / "link").symlink_to("/nonexistent")
    (model / "sub" / "folder").symlink_to("/etc")
    (model / "new").mkdir()
    (model / "new" / "link").symlink_to(".")
    os.mkfifo(model / "sub" / "fifo")
    (model / os.fsdecode(b"\xff")).touch()
    assert verified(model, key, signed) == 1
    assert verified(model, key, signed, "--ignore-unsigned-files") == 0
    (model / "sub" / "ignore-me").unlink()
    (model / "sub" / "ignore-me").symlink_to("../signme-1")
    assert verified(model, key, signed, "--ignore-unsigned-files") == 1


def test_an_empty_file_is_a_file(key, tmp_path):
    """Section 6.1 refuses a model without files; by shards an empty one has none."""
    file, bundle = tmp_path / "empty.bin", tmp_path / "bundle.sig"
    file.touch()
    assert oms(*by_key(file, key, bundle)) == 0
    assert verified(file, key, bundle) == 0
    assert oms(*by_key(file, key, bundle, "--shard-size", 4)) == 1


def test_an_empty_model_is_refused(key, tmp_path):
    (tmp_path / "none").mkdir()
    assert oms(*by_key(tmp_path / "none", key, tmp_path / "bundle.sig")) == 1


@pytest.mark.parametrize("lenient", [True, False])
def test_files_that_were_changed_added_or_taken_away(model, key, signed, lenient):
    flags = ("--ignore-unsigned-files",) if lenient else ()
    (model / "new").touch()
    assert verified(model, key, signed, *flags) == (0 if lenient else 1)
    assert verified(model, key, signed, "--ignore-paths", model / "new") == 0
    (model / "new").unlink()
    (model / "signme-1").rename(model / "new")
    assert verified(model, key, signed, *flags) == 1
    (model / "new").rename(model / "signme-1")
    (model / "signme-1").write_text("other")
    assert verified(model, key, signed, *flags) == 1


def changed_payload(bundle, change):
    payload = json.loads(b64decode(bundle["dsseEnvelope"]["payload"]))
    change(payload)
    bundle["dsseEnvelope"]["payload"] = b64encode(json.dumps(payload).encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.update(mediaType="application/json"),
        lambda b: b["dsseEnvelope"].update(payloadType="application/octet-stream"),
        lambda b: b["dsseEnvelope"].update(signatures=[]),
        lambda b: b.pop("dsseEnvelope"),
        lambda b: changed_payload(b, lambda p: p.update(_type="x")),
        lambda b: changed_payload(b, lambda p: p["predicate"].pop("serialization")),
        lambda b: changed_payload(b, lambda p: p["predicate"].update(resources=[])),
    ],
)
def test_bundles_that_were_changed(model, key, signed, change):
    bundle = json.loads(signed.read_text())
    change(bundle)
    signed.write_text(json.dumps(bundle))
    assert verified(model, key, signed) == 1


def test_a_bundle_of_another_method(model, key, signed):
    identity = ("--identity", ALICE, "--identity-provider", "https://issuer.example")
    common = ("--model-path", model, "--bundle", signed)
    assert oms("verify-model", "--method", "sigstore", *common, *identity) == 1
    assert oms("verify-model", "--method", "key", *common) == 2
    assert oms("verify-model", "--method", "certificate", *common) == 2


def test_an_identity_of_an_instance(instance, model, tmp_path):
    bundle = tmp_path / "bundle.sig"
    config = ("--trust-config", instance.trust_config)
    common = ("--method", "sigstore", "--model-path", model)
    token = ("--identity-token", instance.token(ALICE))
    assert oms("sign-model", *common, "--output-bundle", bundle, *token, *config) == 0
    who = ("--identity", ALICE, "--identity-provider", instance.issuer)
    root = ("--trusted-root", instance.trusted_root)
    assert oms("verify-model", *common, "--bundle", bundle, *who, *config) == 0
    assert oms("verify-model", *common, "--bundle", bundle, *who, *root) == 0
    both = (*config, *root, "--use-staging")  # a file wins over what is embedded
    assert oms("sign-model", *common, "--output-bundle", bundle, *token, *both) == 0
    assert oms("verify-model", *common, "--bundle", bundle, *who, *both) == 0
    assert oms("sign-model", *common, "--output-bundle", bundle, *config) == 4  # nobody to ask
    assert oms("verify-model", *common, "--bundle", bundle, *who) == 1
    stranger = ("--identity", "mallory@example.com", *who[2:])
    assert oms("verify-model", *common, "--bundle", bundle, *stranger, *root) == 1


@pytest.mark.parametrize("hash_type", ["sha256", "blake2b", "blake3"])
def test_what_the_capabilities_promise(model, key, tmp_path, hash_type):
    said = json.loads(subprocess.check_output([*CLIENT, "capabilities"]))
    assert hash_type in said["hash_algorithms"]
    assert {"--hash-algorithm", "--shard-size"} <= set(said["flags"])
    bundle = tmp_path / "bundle.sig"
    options = ("--hash-algorithm", hash_type, "--shard-size", 4)
    assert oms(*by_key(model, key, bundle, *options)) == 0
    assert verified(model, key, bundle) == 0


def test_the_benchmark_tells_times(model, key, signed):
    out = subprocess.check_output(
        [
            *CLIENT, "benchmark-model", "--operation", "verify", "--method", "key", "--repeat", "2",
            "--model-path", model, "--bundle", signed, "--public-key", key[1],
        ]
    )  # fmt: skip
    assert len(json.loads(out)["times_ms"]) == 2


# -- bundles that others wrote ---------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path):
    """Give the CA and the key with which the bundles of the peers' own tests were signed."""
    chain = json.loads((VECTORS / "v0.2.0-certificate" / "model.sig").read_text())
    leaf, ca = (
        x509.load_der_x509_certificate(b64decode(one["rawBytes"]))
        for one in chain["verificationMaterial"]["x509CertificateChain"]["certificates"]
    )
    (tmp_path / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (tmp_path / "k.pub").write_bytes(keys.public_pem(leaf.public_key()))
    return {
        "certificate": ("--cert-chain", tmp_path / "ca.pem"),
        "key": ("--public-key", tmp_path / "k.pub"),
    }


@pytest.mark.parametrize(
    "name",
    ["go-key", "go-certificate", "v0.2.0-certificate", "v0.3.1-certificate", "v1.1.0-certificate"],
)
def test_bundles_that_others_wrote(recorded, tmp_path, name):
    model = tmp_path / "simple"
    model.mkdir()
    content = (VECTORS / "v1.1.0" / "signme-1").read_bytes()
    (model / "signme-1").write_bytes(b"signme-1\n" if name.startswith("go-") else content)
    (model / "signme-2").write_text("signme-2")
    method = "key" if name == "go-key" else "certificate"
    arguments = (
        "verify-model", "--method", method, "--model-path", model, *recorded[method],
        "--bundle", VECTORS / name / "model.sig",
    )  # fmt: skip
    assert oms(*arguments) == 0
    (model / "ignore-me").touch()  # recorded by 1.1, by others only said when verifying
    assert oms(*arguments) == (0 if name.startswith("v1.1.0") else 1)
    assert oms(*arguments, "--ignore-paths", model / "ignore-me") == 0
    (model / "signme-2").write_text("changed")
    assert oms(*arguments, "--ignore-paths", model / "ignore-me") == 1
