# SPDX-License-Identifier: Apache-2.0
"""What signed settings may ask for, and that MLServer then opens the file that was meant."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlserver.utils import get_model_uri

from modelseal.admission.admit import Snapshot
from modelseal.errors import FormatError, ModelSealError, PolicyRefused
from modelseal.model import manifest
from modelseal.policy import document
from modelseal.policy.verdict import Verdict
from modelseal.servers import settings
from modelseal.servers.mlserver.settings import made

RUNTIME = "mlserver_sklearn.SKLearnModel"
GOOD = {"name": "digits", "implementation": RUNTIME, "parameters": {"uri": "./model.joblib"}}
POLICY = document.parse(
    'version = 1\ndefault = "deny"\n[signers.release]\nidentity = "a@example.com"\nissuer = "https://issuer.test"\n'
    f'[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n[mlserver]\nruntimes = ["{RUNTIME}"]\n',
    Path("/"),
)


def write(folder, values):
    """Write a model with these settings (or the bytes of them) and return its snapshot."""
    for name in ("model.joblib", "sub/weights.bin", "sub/deep/x", "odd ?#;%41[.bin", "v1:x/[y"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    data = values if isinstance(values, bytes) else json.dumps(values).encode()
    (folder / settings.FILE_NAME).write_bytes(data)
    return snapshot_of(folder)


def snapshot_of(folder):
    signed = manifest.of_folder(folder).manifest
    return Snapshot(folder, Verdict("accepted", "digits", "accepted", "Accepted."), signed)


@pytest.fixture
def read(tmp_path):
    """Give a function from settings to those that are handed to MLServer."""
    return lambda values: settings.read(write(tmp_path, values), POLICY)


def code_of(read, values, kind=ModelSealError):
    with pytest.raises(kind) as refused:
        read(values)
    return refused.value.code


def test_signed_values_are_kept_and_the_uri_is_in_the_snapshot(read, tmp_path):
    parameters = {"uri": "./model.joblib", "version": "3", "extra": {"a": [1, None]}}
    found = read({**GOOD, "inputs": [], "parameters": parameters})
    assert found == {
        **GOOD, "inputs": [],
        "parameters": {**parameters, "uri": str(tmp_path / "model.joblib")},
    }  # fmt: skip


def test_settings_that_were_not_signed_do_not_count(tmp_path):
    snapshot = write(tmp_path, GOOD)
    (tmp_path / settings.FILE_NAME).unlink()
    unsigned = snapshot_of(tmp_path)
    (tmp_path / settings.FILE_NAME).write_text(json.dumps(GOOD))
    with pytest.raises(FormatError) as refused:
        settings.read(unsigned, POLICY)
    assert refused.value.code == "no-settings"
    assert settings.read(snapshot, POLICY)


def test_settings_in_a_subfolder_do_not_count(tmp_path):
    write(tmp_path, GOOD)
    (tmp_path / settings.FILE_NAME).rename(tmp_path / "sub" / settings.FILE_NAME)
    with pytest.raises(FormatError) as refused:
        settings.read(snapshot_of(tmp_path), POLICY)
    assert refused.value.code == "no-settings"


@pytest.mark.parametrize(("change", "code"), [
    ({"name": None}, "name-missing"),
    ({"name": ""}, "name-missing"),
    ({"name": "other"}, "name-mismatch"),
    ({"name": "Digits"}, "name-mismatch"),
    ({"name": "digits "}, "name-mismatch"),
    ({"implementation": None}, "runtime-not-allowed"),
    ({"implementation": "os.system"}, "runtime-not-allowed"),
    ({"implementation": f"{RUNTIME}x"}, "runtime-not-allowed"),
    ({"implementation": RUNTIME.lower()}, "runtime-not-allowed"),
    ({"parameters": {"environment_path": "env"}}, "environment-not-allowed"),
    ({"parameters": {"environment_path": ""}}, "environment-not-allowed"),
    ({"parameters": {"environment_tarball": "env.tar.gz"}}, "environment-not-allowed"),
])  # fmt: skip
def test_what_the_policy_does_not_let_through(tmp_path, change, code):
    snapshot = write(tmp_path, {**GOOD, **change})
    with pytest.raises(PolicyRefused) as refused:
        settings.read(snapshot, POLICY)
    verdict = refused.value.verdict
    assert (verdict.status, verdict.code) == ("refused", code)
    assert (verdict.checks[-1].name, verdict.checks[-1].passed) == ("settings", False)


@pytest.mark.parametrize("key", ["name", "implementation"])
def test_a_key_that_is_missing_is_no_default(read, key):
    code = {"name": "name-missing", "implementation": "runtime-not-allowed"}[key]
    values = {name: value for name, value in GOOD.items() if name != key}
    assert code_of(read, values, PolicyRefused) == code


@pytest.mark.parametrize(("values", "code"), [
    ({**GOOD, "name": 7}, "wrong-type"),
    ({**GOOD, "implementation": ["os.system"]}, "wrong-type"),
    ({**GOOD, "parameters": []}, "wrong-type"),
    ({**GOOD, "parameters": {"uri": 7}}, "wrong-type"),
    ([GOOD], "wrong-type"),
    (b"{", "not-json"),
    (b'{"name": "a", "name": "digits"}', "duplicate-member"),
    (b"[" * 100_000, "too-many"),
    (b" " * (settings.LIMIT + 1), "too-large"),
])  # fmt: skip
def test_what_are_no_settings(read, values, code):
    assert code_of(read, values, FormatError) == code


@pytest.mark.parametrize(("uri", "path"), [
    (None, ""), ("", ""), (".", ""), ("./", ""), ("./.", ""),
    ("model.joblib", "model.joblib"), ("././model.joblib", "model.joblib"),
    ("sub", "sub"), ("sub/", "sub"), ("sub//deep", "sub/deep"), ("sub/deep/x", "sub/deep/x"),
    ("v1:x", "v1:x"), ("v1:x/[y", "v1:x/[y"),
])  # fmt: skip
def test_a_uri_in_the_model(read, tmp_path, uri, path):
    found = read({**GOOD, "parameters": {"uri": uri}})
    assert Path(found["parameters"]["uri"]) == tmp_path / path


@pytest.mark.parametrize("uri", [
    "..", "../digits/model.joblib", "sub/..", "sub/../model.joblib", "/", "/etc/passwd",
    "{folder}/model.joblib", "//model.joblib", "missing", "su", "model.joblib/x", "~", "*",
    "file:model.joblib", "file:///etc/passwd", "http://evil.test/x", "s3://bucket/x", "a:b",
    "//[", "model.joblib?x", "model.joblib#x", "odd ?#;%41[.bin", "sub\\deep", "Model.joblib",
    "model.joblib\0", " model.joblib",
])  # fmt: skip
def test_a_uri_that_leads_out_of_the_model(read, tmp_path, uri):
    values = {**GOOD, "parameters": {"uri": uri.format(folder=tmp_path)}}
    assert code_of(read, values, PolicyRefused) == "uri-outside"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    write(folder, GOOD)
    return folder


PARTS = st.sampled_from([
    ".", "..", "", "sub", "deep", "x", "model.joblib", "/", "//", "?", "#", ";", ":", "file:", "[",
    "]", "v1:x", "[y", "%2e%2e", "http://a", "~", "\\", " ",
])  # fmt: skip


@given(uri=st.lists(PARTS, max_size=6).map("/".join) | st.lists(PARTS, max_size=6).map("".join))
def test_mlserver_opens_what_was_signed_or_the_uri_is_refused(folder, uri):
    snapshot = write(folder, {**GOOD, "parameters": {"uri": uri}})
    try:
        found = settings.read(snapshot, POLICY)
    except PolicyRefused as refused:
        assert refused.code == "uri-outside"  # noqa: PT017 - nothing else may come out
        return
    opened = Path(asyncio.run(get_model_uri(made(found))))
    assert opened.resolve().is_relative_to(folder.resolve())
    assert opened == Path(found["parameters"]["uri"])
    assert opened.exists()
