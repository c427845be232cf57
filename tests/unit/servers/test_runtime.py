# SPDX-License-Identifier: Apache-2.0
"""The wrapper for one file: the runtime gets the verified copy, and nothing but that."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from mlserver import MLModel, ModelSettings
from mlserver.utils import get_model_uri

from modelseal.servers.mlserver import VerifiedModel
from modelseal.servers.mlserver.refusal import Refused


class Reader(MLModel):
    """A runtime that reads its file only after whoever can write to the folder has changed it."""

    original: Path
    read = b""

    async def load(self) -> bool:
        self.original.write_bytes(b"payload")
        self.path = Path(await get_model_uri(self.settings))
        self.read = self.path.read_bytes()
        return True


@pytest.fixture
def own(make_site, tmp_path, monkeypatch):
    site = make_site(tmp_path)
    policy = site.policy_text().replace("mlserver_sklearn.SKLearnModel", "reading_runtime.Reader")
    (site.config / "policy.toml").write_text(policy)
    monkeypatch.setenv("MODELSEAL_POLICY", str(site.config / "policy.toml"))
    monkeypatch.setenv("MODELSEAL_STORE", str(site.store))
    module = ModuleType("reading_runtime")
    module.Reader = Reader
    monkeypatch.setitem(sys.modules, "reading_runtime", module)
    return site


@pytest.fixture
def model(own, monkeypatch):
    """Return a signed file and the settings beside it, as MLServer reads them."""
    file = own.models / "digits" / "weights.bin"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    own.sign(file)
    monkeypatch.setattr(Reader, "original", file, raising=False)
    source = file.parent / "model-settings.json"
    source.write_text(json.dumps({
        "name": "digits", "implementation": "modelseal.servers.mlserver.VerifiedModel",
        "parameters": {"uri": "./weights.bin", "extra": {"runtime": "reading_runtime.Reader"}},
    }))  # fmt: skip
    return ModelSettings.parse_file(str(source))


def test_the_runtime_reads_the_copy_and_not_the_file_that_was_checked(own, model):
    wrapped = VerifiedModel(model)
    assert isinstance(wrapped, Reader)
    assert asyncio.run(wrapped.load())
    assert Reader.original.read_bytes() == b"payload"
    assert wrapped.read == b"weights"
    assert wrapped.path.is_relative_to(own.store)
    assert wrapped.path.name == "weights.bin"
    assert wrapped.settings._source is None


def test_a_file_that_was_changed_is_not_read_at_all(model):
    Reader.original.write_bytes(b"tampered")
    wrapped = VerifiedModel(model)
    with pytest.raises(Refused, match=r"\[digest-mismatch\]"):
        asyncio.run(wrapped.load())
    assert wrapped.read == b""


@pytest.mark.parametrize("name", ["MODELSEAL_POLICY", "MODELSEAL_STORE"])
@pytest.mark.parametrize("value", [None, ""])
def test_the_operator_has_to_say_where(model, monkeypatch, name, value):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=r"\[no-policy\]"):
        asyncio.run(VerifiedModel(model).load())
