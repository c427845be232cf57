# SPDX-License-Identifier: Apache-2.0
"""A verdict reports only what a check vouched for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from in_process import answers, invoke
from private_ca import Kind, chain, leaf

if TYPE_CHECKING:
    from pathlib import Path

FAR = 4_000_000


def verdict(model, *options):
    done = invoke("verify", model, *options, "--format", "json")
    (said,) = json.loads(done.stdout)
    return said


def claim(model, change) -> None:
    path = model / "model.sig"
    bundle = json.loads(path.read_bytes())
    change(bundle["verificationMaterial"]["tlogEntries"])
    path.write_text(json.dumps(bundle))


@dataclass(frozen=True)
class Signed:
    """A logged model: how it is signed again, and how whoever verifies names its signer."""

    model: Path
    by: tuple[object, ...]
    of: tuple[object, ...]
    services: tuple[object, ...]

    def sign(self) -> None:
        done = invoke("sign", self.model, *self.by, *self.services, "--overwrite")
        assert done.exit_code == 0, done.output

    def verdict(self, *options) -> dict:
        done = invoke("verify", self.model, *self.of, *options, "--format", "json")
        (verdict,) = answers(done.stdout)
        return verdict

    def change(self, change) -> None:
        path = self.model / "model.sig"
        bundle = json.loads(path.read_bytes())
        change(bundle["verificationMaterial"]["tlogEntries"])
        path.write_text(json.dumps(bundle))


@pytest.fixture(params=["key", "certificate"])
def signed(request, tmp_path, instance):
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(b"weights")
    if request.param == "key":
        assert invoke("key", "generate", tmp_path / "k.key").exit_code == 0
        by, of = ("--key", tmp_path / "k.key"), ("--key", tmp_path / "k.pub")
    else:
        owner, between, root = chain(Kind("root"), Kind("between"), leaf())
        key, certificate = owner.write(tmp_path)
        for name, one in (("between", between), ("root", root)):
            pem = one.certificate.public_bytes(Encoding.PEM)
            (tmp_path / f"{name}.pem").write_bytes(pem)
        by = ("--key", key, "--certificate", certificate)
        by += ("--certificate-chain", tmp_path / "between.pem")
        of = ("--certificate-chain", tmp_path / "root.pem")
    services = ("--trust-config", instance.trust_config, "--log", "--timestamp")
    made = Signed(model, by, of, services)
    made.sign()
    return made


def test_a_log_index_that_nobody_checked_is_not_reported(signed, instance):
    root = ("--trusted-root", instance.trusted_root)
    checked = signed.verdict(*root)
    assert (checked["code"], checked["log_index"] is None) == ("accepted", False)
    assert signed.verdict()["log_index"] is None  # no root, so nobody checked it
    signed.change(lambda entries: entries[0].update(logIndex=str(FAR)))
    assert signed.verdict()["log_index"] is None
    assert signed.verdict(*root)["code"] == "not-logged"


def test_a_root_that_names_logs_wants_an_entry(signed, instance):
    signed.change(lambda entries: entries.clear())
    assert signed.verdict()["code"] == "accepted"
    assert signed.verdict("--trusted-root", instance.trusted_root)["code"] == "not-logged"


def test_the_entry_must_be_about_this_signature(signed, instance):
    """Else any entry of the log would do (CVE-2022-36056)."""
    first = json.loads((signed.model / "model.sig").read_bytes())
    (signed.model / "weights").write_bytes(b"others")
    signed.sign()
    others = first["verificationMaterial"]["tlogEntries"]
    signed.change(lambda entries: entries.__setitem__(slice(None), others))
    for root in ((), ("--trusted-root", instance.trusted_root)):
        assert signed.verdict(*root)["code"] == "log-mismatch"


def test_the_signer_is_compared_with_who_was_asked_for(signed, tmp_path):
    checks = {check["name"]: check for check in signed.verdict()["checks"]}
    assert checks["signer"]["passed"]
    assert invoke("key", "generate", tmp_path / "other.key").exit_code == 0
    done = invoke(
        "verify", signed.model, "--key", tmp_path / "other.pub", "--format", "json"
    )  # fmt: skip
    (other,) = answers(done.stdout)
    assert other["verdict"] == "refused"
    assert not any(check["name"] == "signer" and check["passed"] for check in other["checks"])
