# SPDX-License-Identifier: Apache-2.0
"""Arguments and policy files become one policy and one verifier."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import modelseal
from modelseal.admission.request import asked
from modelseal.errors import UsageError
from modelseal.policy.signers import AcceptedIdentity, AcceptedKey
from modelseal.trust import embedded, keys

ALICE = {"identity": "alice@example.com", "issuer": "https://issuer.example"}


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "root.json"
    path.write_bytes(embedded.embedded(embedded.PUBLIC_GOOD))
    return path


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "k.pub"
    path.write_bytes(keys.public_pem(ec.generate_private_key(ec.SECP256R1()).public_key()))
    return path


def test_an_identity(root):
    policy, verifier = asked(**ALICE, trust=root)
    (signer,) = policy.signers
    assert isinstance(signer, AcceptedIdentity)
    assert str(root) in verifier.source


def test_keys_need_no_root(key, root):
    policy, verifier = asked(key=key)
    assert isinstance(policy.signers[0], AcceptedKey)
    assert verifier.root is None
    assert asked(key=[key], trust=str(root)).verifier.root is not None


def test_the_same_key_twice_is_one_signer(key):
    assert len(asked(key=[key, key]).policy.signers) == 1


def test_all_of_several_unless_a_threshold_says_how_many(root):
    pairs = [("a", "i"), ("b", "i"), ("a", "i")]
    assert asked(signers=pairs, trust=root).policy.rules[0].threshold == 2
    assert asked(signers=pairs, threshold=1, trust=root).policy.rules[0].threshold == 1


@pytest.mark.parametrize("threshold", [0, -1, 3])
def test_a_threshold_that_makes_no_sense(threshold, root):
    with pytest.raises(UsageError) as refused:
        asked(signers=[("a", "i"), ("b", "i")], threshold=threshold, trust=root)
    assert refused.value.code == "bad-threshold"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"identity": "a"},
        {"issuer": "i"},
        ALICE | {"key": "k.pub"},
        ALICE | {"policy": "policy.toml"},
        {"policy": "policy.toml", "threshold": 1},
        {"policy": "policy.toml", "ignore_unsigned": ["*"]},
        {"policy": "policy.toml", "verifier": "both"},
        {"certificate_subject": "CN=alice"},
    ],
)
def test_who_must_have_signed_is_said_in_one_way(request_):
    with pytest.raises(UsageError) as refused:
        asked(**request_)
    assert refused.value.code == "whose-signature"


@pytest.mark.parametrize(
    "name",
    ["identity", "issuer", "key", "certificate_authority", "certificate_subject", "policy",
     "trust", "trusted_root", "trust_config", "instance"],
)  # fmt: skip
def test_an_empty_value_is_a_mistake(name):
    with pytest.raises(UsageError) as refused:
        asked(**{name: ""})
    assert refused.value.code == "empty-value"


def test_a_trust_config_is_a_source_of_trust_too(root, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(f'{{"trustedRoot": {root.read_text()}}}')
    assert asked(**ALICE, trust=config).verifier.anchors.logs


def test_older_names_of_trust_still_work(root):
    with pytest.warns(DeprecationWarning, match="trust="):
        assert asked(**ALICE, trusted_root=root).verifier.root is not None
    with pytest.warns(DeprecationWarning, match="trust="), pytest.raises(UsageError) as refused:
        asked(**ALICE, trusted_root=root, instance="https://sigstore.example")
    assert refused.value.code == "conflicting-trust"


@pytest.mark.parametrize(
    "call",
    [
        lambda path, old: modelseal.sign(path, **old),
        lambda path, old: modelseal.verify(path, **ALICE, **old),
        lambda path, old: modelseal.verify_all([path], **ALICE, **old),
        lambda path, old: modelseal.load(path, **ALICE, **old).__enter__(),
        lambda path, old: modelseal.verify_threshold(path, **ALICE, trust=old["trust_config"]),
    ],
)
def test_what_is_old_warns_whoever_calls(call, tmp_path):
    """Python shows a deprecation only where the code of the user is named: the default filter."""
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    with (
        pytest.warns(DeprecationWarning, match="trust=|signers=") as warned,
        pytest.raises(modelseal.ModelSealError),
    ):
        call(model, {"trust_config": tmp_path / "missing.json"})
    assert [warning.filename for warning in warned] == [__file__]


def test_signing_takes_the_same_argument(tmp_path, root):
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    refusals = {}
    for trust in (root, modelseal.Trust(trusted_root=root), "https://not-trusted.example"):
        with pytest.raises(modelseal.ModelSealError) as refused:
            modelseal.sign(model, identity_token="a.b.c", trust=trust)
        refusals[str(trust)] = refused.value.code
    assert list(refusals.values()) == ["trust-config", "conflicting-trust", "instance-not-trusted"]
    with pytest.raises(UsageError) as refused, pytest.warns(DeprecationWarning, match="trust="):
        modelseal.sign(model, identity_token="a.b.c", trust=root, instance="https://other.example")
    assert refused.value.code == "conflicting-trust"
    assert list(tmp_path.glob("*.sigstore.json")) == []


def test_more_than_one_source_of_trust():
    trust = modelseal.Trust(instance="https://sigstore.example", staging=True)
    with pytest.raises(UsageError) as refused:
        asked(**ALICE, trust=trust)
    assert refused.value.code == "conflicting-trust"


def test_only_keys_and_authorities_can_have_signatures_in_no_log(key, root):
    assert asked(key=key, trust=root, logged=False).policy.signers[0].logged is False
    assert asked(key=key, trust=root).policy.signers[0].logged is True
    for other in (ALICE, {"policy": "policy.toml"}):
        with pytest.raises(UsageError) as refused:
            asked(**other, trust=root, logged=False)
        assert refused.value.code == "whose-signature"
