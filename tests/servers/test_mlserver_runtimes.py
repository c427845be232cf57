# SPDX-License-Identifier: Apache-2.0
"""Runtimes of MLServer beside scikit-learn's, with real models; `make servers` installs them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from model_servers import RUNTIMES_ENVIRONMENT as ENVIRONMENT
from patience import PATIENCE

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
TRAIN = Path(__file__).parent / "programs" / "train_runtimes.py"
RUNTIMES = {
    "xgboost": ("mlserver_xgboost.XGBoostModel", "./model.json"),
    "lightgbm": ("mlserver_lightgbm.LightGBMModel", "./model.bst"),
    "mlflow": ("mlserver_mlflow.MLflowRuntime", "./model"),
}


@pytest.fixture(scope="module", params=[0, 1], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    for name, (runtime, uri) in RUNTIMES.items():
        (site.models / name).mkdir()
        settings = {"name": name, "implementation": runtime, "parameters": {"uri": uri}}
        (site.models / name / "model-settings.json").write_text(json.dumps(settings))
    trained = subprocess.run(
        [ENVIRONMENT / "bin" / "python", TRAIN, site.models],
        check=True, capture_output=True, text=True, timeout=PATIENCE, cwd=site.folder,
    )  # fmt: skip
    answers = json.loads(trained.stdout.splitlines()[-1])
    site.sign(*(site.models / name for name in RUNTIMES))
    policy = site.config / "policy.toml"
    names = json.dumps([runtime for runtime, _ in RUNTIMES.values()])
    policy.write_text(
        policy.read_text().partition("[mlserver]")[0] + f"[mlserver]\nruntimes = {names}\n"
    )
    with start_mlserver(
        site, workers=request.param, program=ENVIRONMENT / "bin" / "mlserver",
        env={"PYTHONPATH": str(ROOT / "src")}, **verified_settings(site),
    ) as server:  # fmt: skip
        yield site, server, answers


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_signed_model_answers(serving, name):
    _, server, answers = serving
    loaded = server.load(name)
    assert loaded.status == 200, (loaded, server.log.read_text()[-2000:])
    assert server.infer(name, answers["rows"]) == pytest.approx(answers[name])


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_changed_model_is_refused_and_the_copy_goes_on(serving, name):
    site, server, answers = serving
    assert server.load(name).status == 200
    changed = max(
        (p for p in (site.models / name).rglob("*") if p.is_file()), key=lambda p: p.stat().st_size
    )
    before = changed.read_bytes()
    changed.write_bytes(before + b"\n")
    try:
        assert server.load(name).error.endswith("[digest-mismatch]")
        assert server.infer(name, answers["rows"]) == pytest.approx(answers[name])
    finally:
        changed.write_bytes(before)


def test_code_beside_the_model_of_mlflow_is_refused(serving):
    """MLflow imports from `code/` of a model, if its MLmodel says so."""
    site, server, _ = serving
    planted = site.models / "mlflow" / "model" / "code"
    planted.mkdir()
    (planted / "sklearn.py").write_text(site.module())
    try:
        assert server.load("mlflow").error.endswith("[digest-mismatch]")
    finally:
        (planted / "sklearn.py").unlink()
        planted.rmdir()
    assert site.untouched
