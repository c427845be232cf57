# SPDX-License-Identifier: Apache-2.0
"""A model brings code: none of it runs unless the policy says so, and only what was signed."""

from __future__ import annotations

import json

import pytest

RUNTIME = """\
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from own_helper import FACTOR

class Doubling(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        rows = NumpyCodec.decode_input(payload.inputs[0])
        answer = NumpyCodec.encode_output("doubled", rows * FACTOR)
        return InferenceResponse(model_name=self.name, outputs=[answer])
"""


@pytest.fixture(scope="module", params=[0, 1], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    policy = site.config / "policy.toml"
    policy.write_text(policy.read_text() + 'model_code = ["own-*"]\n')
    with start_mlserver(site, workers=request.param, **verified_settings(site)) as server:
        yield site, server


def write(site, name, implementation="doubling.Doubling", **files):
    folder = site.write(name, implementation=implementation, parameters=None)
    (folder / "model.joblib").unlink()
    texts = {"doubling": RUNTIME, "own_helper": "FACTOR = 2\n", **files}
    for module, text in texts.items():
        if text is not None:
            (folder / f"{module}.py").write_text(text)
    site.sign(folder)
    return folder


def test_signed_code_of_a_model_that_may(serving):
    site, server = serving
    write(site, "own-doubling")
    answer = server.load("own-doubling")
    assert answer.status == 200, answer
    assert server.infer("own-doubling", [[1.0, 2.0]]) == [2.0, 4.0]
    left = {path.name for path in site.store.rglob("*") if path.name == "__pycache__"}
    assert not left, "nothing is written into the copy"


def test_changed_code(serving):
    site, server = serving
    folder = write(site, "own-changed")
    (folder / "own_helper.py").write_text(site.module())
    assert server.load("own-changed").error.endswith("[digest-mismatch]")
    assert site.untouched


@pytest.mark.parametrize(
    ("name", "implementation"),
    [
        ("other", "doubling.Doubling"),
        ("own-missing", "elsewhere.Doubling"),
        ("own-system", "os.system"),
        ("own-bare", "doubling"),
        ("own-odd", "../doubling.Doubling"),
    ],
)
def test_code_that_may_not(serving, name, implementation):
    site, server = serving
    write(site, name, implementation, doubling=site.module())
    assert server.load(name).error.endswith("[runtime-not-allowed]")
    assert site.untouched


@pytest.mark.parametrize("module", ["mlserver_sklearn", "json", "mlserver", "modelseal"])
def test_code_that_hides_an_installed_module(serving, module):
    site, server = serving
    write(site, f"own-{module.replace('_', '-')}", f"{module}.Doubling", **{module: site.module()})
    answer = server.load(f"own-{module.replace('_', '-')}")
    assert answer.error.endswith("[module-not-allowed]")
    assert site.untouched


def test_an_allowed_runtime_is_never_taken_from_the_model(serving):
    site, server = serving
    folder = site.write("own-shadow")
    (folder / "mlserver_sklearn.py").write_text(site.module())
    (folder / "joblib.py").write_text(site.module())
    site.sign(folder)
    assert server.load("own-shadow").status == 200
    assert server.infer("own-shadow", site.digits.rows) == site.digits.answers
    assert site.untouched


def test_settings_cannot_name_a_source(serving):
    site, server = serving
    folder = write(site, "own-source")
    settings = folder / "model-settings.json"
    values = json.loads(settings.read_text())
    settings.write_text(json.dumps({**values, "_source": "/tmp/x/model-settings.json"}))
    site.sign(folder)
    assert server.load("own-source").status == 200
