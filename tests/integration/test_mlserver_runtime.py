# SPDX-License-Identifier: Apache-2.0
"""VerifiedModel: one file with its bundle beside it, in MLServer's own repository."""

from __future__ import annotations

import json
import shutil

import pytest

RUNTIME = "modelseal.servers.mlserver.VerifiedModel"


@pytest.fixture(scope="module", params=[0, 1], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    names = ("good-model", "tampered-model", "unsigned-model", "other-runtime", "no-runtime")
    for name in names:
        extra = {"runtime": "mlserver_sklearn.SKLearnModel"}
        if name == "other-runtime":
            extra = {"runtime": "os.system"}
        if name == "no-runtime":
            extra = {}
        site.write(
            name, implementation=RUNTIME, parameters={"uri": "./model.joblib", "extra": extra}
        )
    site.sign(*(site.models / n / "model.joblib" for n in names if n != "unsigned-model"))
    (site.models / "tampered-model" / "model.joblib").write_bytes(site.payload())
    # MLServer's own repository looks below the start folder, wherever it is told to look
    for name in names:
        shutil.move(site.models / name, site.config / name)
    env = {
        "MODELSEAL_POLICY": str(site.config / "policy.toml"),
        "MODELSEAL_STORE": str(site.store),
    }
    with start_mlserver(site, workers=request.param, env=env) as server:
        yield site, server


def test_good_file_loads_and_answers(serving):
    site, server = serving
    assert server.load("good-model").status == 200
    assert server.infer("good-model", site.digits.rows) == site.digits.answers
    (site.config / "good-model" / "model.joblib").write_bytes(site.payload())
    assert server.load("good-model").status == 400
    assert server.infer("good-model", site.digits.rows) == site.digits.answers
    assert site.untouched


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("tampered-model", "digest-mismatch"),
        ("unsigned-model", "unsigned"),
        ("other-runtime", "runtime-not-allowed"),
        ("no-runtime", "runtime-not-allowed"),
    ],
)
def test_others_are_refused(serving, name, code):
    site, server = serving
    answer = server.load(name)
    assert answer.status == 400
    assert answer.error.endswith(f"[{code}]")
    assert f"model '{name}'" in answer.error
    assert site.untouched
    assert json.loads(answer.text).keys() == {"error"}
