# SPDX-License-Identifier: Apache-2.0
"""Loading a good model: VerifiedModelRepository against MLServer's own repository, warm."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import joblib
from sklearn import datasets, svm

import modelseal
from benchmarks.parts import ALICE, BIN, Row, alternated, instance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.parts import Sizes

ROUNDS = 40
NAME = "digits"
SETTINGS = {
    "name": NAME,
    "implementation": "mlserver_sklearn.SKLearnModel",
    "parameters": {"uri": "./model.joblib"},
}
POLICY = """
version = 1
default = "deny"
[trust]
root = "trusted_root.json"
[signers.release]
identity = "{identity}"
issuer = "{issuer}"
[[rule]]
models = ["*"]
signers = ["release"]
[mlserver]
runtimes = ["mlserver_sklearn.SKLearnModel"]
"""


def rows(folder: Path, _sizes: Sizes) -> Iterator[Row]:
    model = folder / "models" / NAME
    model.mkdir(parents=True)
    digits = datasets.load_digits()
    joblib.dump(svm.SVC(gamma=0.001).fit(digits.data, digits.target), model / "model.joblib")
    (model / "model-settings.json").write_text(json.dumps(SETTINGS))
    with instance(folder) as started:
        modelseal.sign(model, identity_token=started.token(), trust=started.trust_config)
        root = json.loads(started.trust_config.read_bytes())["trustedRoot"]
    (folder / "trusted_root.json").write_text(json.dumps(root))
    (folder / "policy.toml").write_text(POLICY.format(identity=ALICE, issuer=started.url))
    verified = {
        "model_repository_implementation": ("modelseal.servers.mlserver.VerifiedModelRepository"),
        "model_repository_implementation_args": {
            "models": str(folder / "models"),
            "policy": str(folder / "policy.toml"),
            "store": str(folder / "store"),
        },
    }
    for workers in (0, 1):
        with ExitStack() as servers:
            config = folder / f"config-{workers}"
            ours = servers.enter_context(_server(config, workers, verified))
            theirs = servers.enter_context(_server(folder / "models", workers, {}))
            medians = alternated(ROUNDS, partial(_load, ours), partial(_load, theirs))
        yield Row(f"load, {workers} workers", *medians, goal=1.3)


@contextmanager
def _server(start: Path, workers: int, extra: dict) -> Iterator[int]:
    start.mkdir(exist_ok=True)
    ports = _free_ports()
    names = ("http_port", "grpc_port", "metrics_port")
    settings = {
        "host": "127.0.0.1",
        "parallel_workers": workers,
        "load_models_at_startup": False,
        "debug": False,
        **dict(zip(names, ports, strict=True)),
        **extra,
    }
    (start / "settings.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [BIN / "mlserver", "start", start],
        cwd=start if extra else "/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            try:
                _post(ports[0], "repository/index")
                break
            except OSError:
                time.sleep(0.1)
        _load(ports[0])  # imports scikit-learn
        _load(ports[0])
        yield ports[0]
    finally:
        process.terminate()
        process.wait()


def _free_ports() -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _load(port: int) -> None:
    _post(port, f"repository/models/{NAME}/load")


def _post(port: int, path: str) -> None:
    url = f"http://127.0.0.1:{port}/v2/{path}"
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60):
        pass
