# SPDX-License-Identifier: Apache-2.0
"""`modelseal fetch` from a real MLflow server, which `make servers` installs."""

from __future__ import annotations

import os
import socket
import urllib.request
from contextlib import suppress

import pytest
from fetching import left_beside, read, running, signed_model, write
from model_servers import RUNTIMES_ENVIRONMENT
from patience import PATIENCE, wait_until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """Give the client of a running MLflow server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "mlflow"
    folder.mkdir()
    command = [
        RUNTIMES_ENVIRONMENT / "bin" / "python", "-m", "mlflow", "server", "--workers", "1",
        "--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination", folder / "artifacts",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    path = f"{RUNTIMES_ENVIRONMENT / 'bin'}:{os.environ['PATH']}"
    with running(command, tmp_path / "mlflow.log", {"PATH": path}):
        wait_until(lambda: answers(f"{url}/health"), "MLflow")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        from mlflow.tracking import MlflowClient  # noqa: PLC0415 - two seconds

        yield MlflowClient(url)


def log_version(client, folder):
    """Log the files in `folder` as a version of the model "tiny"; return the run."""
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(folder), "tiny")
    with suppress(Exception):  # there from an earlier version
        client.create_registered_model("tiny")
    client.create_model_version("tiny", f"runs:/{run.info.run_id}/tiny", run.info.run_id)
    return run.info.run_id


def test_an_mlflow_server(mlflow, model, out, tmp_path):
    write(tmp_path / "v1", model.files)
    run = log_version(mlflow, tmp_path / "v1")
    mlflow.set_registered_model_alias("tiny", "champion", "1")
    pin = tmp_path / "tiny.lock"
    done = model.fetch("models:/tiny@champion", out, "--pin", pin)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("revision models:/tiny/1\n")
    assert read(out) == model.files
    assert left_beside(out) == ["tiny"]

    write(tmp_path / "v2", model.sign(tmp_path / "signed", {"new.bin": b"new"}))
    log_version(mlflow, tmp_path / "v2")
    mlflow.set_registered_model_alias("tiny", "champion", "2")
    again = out.with_name("again")
    assert model.fetch("models:/tiny@champion", again, "--pin", pin).exit_code == 0
    assert read(again) == model.files
    newer = out.with_name("newer")
    assert model.fetch("models:/tiny@champion", newer).exit_code == 0
    assert "new.bin" in read(newer)

    (tmp_path / "config.json").write_text("changed")
    mlflow.log_artifact(run, str(tmp_path / "config.json"), "tiny")
    done = model.fetch("models:/tiny/1", out.with_name("changed"))
    assert (done.exit_code, "[digest-mismatch]" in done.stderr) == (1, True), done.output
    for uri, code in (
        ("models:/tiny/9", "no-such-revision"), ("models:/tiny@nobody", "no-such-revision"),
        ("models:/none/1", "no-such-revision"), ("models:/tiny", "bad-uri"),
    ):  # fmt: skip
        done = model.fetch(uri, out.with_name("none"))
        assert (done.exit_code, f"[{code}]" in done.stderr) == (2, True), done.output
