# SPDX-License-Identifier: Apache-2.0
"""The second half of the story: serve both models, and see one of them refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._demo.children import NotStarted, free_ports, wait_until
from modelseal.cli._demo.signing import ALICE, GOOD, LOOT, RUNTIME, TAMPERED
from modelseal.cli._demo.telling import NotAsTold

if TYPE_CHECKING:
    from modelseal.cli._demo.stage import Stage

_TRIES = 3  # to start the server: somebody may take a port between choosing and listening
_OK, _BAD_REQUEST = 200, 400

POLICY = """\
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
runtimes = ["{runtime}"]
"""


def start_server(stage: Stage) -> str:
    """Start MLServer from a folder that holds the operator's settings, policy and trust."""
    config = stage.folder / "server"
    config.mkdir()
    policy = POLICY.format(identity=ALICE, issuer=stage.issuer, runtime=RUNTIME)
    (config / "policy.toml").write_text(policy)
    stage.show_source(f"# server/policy.toml\n{policy}")
    stage.expect_success(
        *("modelseal", "instance", "trusted-root", "--data", "sigstore"),
        *("--out", "server/trusted_root.json"),
    )
    for left in reversed(range(_TRIES)):
        try:
            _start_mlserver(stage, config)
            break
        except NotStarted as error:
            if not left:
                raise NotAsTold(f"MLServer did not start: {error}") from error
    return "up, nothing loaded"


def _start_mlserver(stage: Stage, config: Path) -> None:
    http, grpc, metrics = free_ports(3)
    settings = {
        "host": "127.0.0.1",
        "http_port": http,
        "grpc_port": grpc,
        "metrics_port": metrics,
        "debug": False,
        "parallel_workers": stage.workers,
        "load_models_at_startup": False,
        "model_repository_implementation": "modelseal.servers.mlserver.VerifiedModelRepository",
        "model_repository_implementation_args": {
            "models": "../models",
            "policy": "policy.toml",
            "store": "store",
        },
    }
    text = json.dumps(settings, indent=2)
    (config / "settings.json").write_text(text + "\n")
    stage.show_source(f"# server/settings.json\n{text}")
    stage.show_source("$ (cd server && mlserver start .) &")
    stage.server = f"http://127.0.0.1:{http}"
    log = stage.folder / "mlserver.log"
    child = stage.children.start(["mlserver", "start", "."], config, log)
    wait_until(stage.ready, child, log)


def index(stage: Stage) -> str:
    """List the models that the server sees."""
    status, models = stage.post("/v2/repository/index", {})
    stage.show(f"{status}\n{json.dumps(models, indent=2)}")
    reasons = {model["name"]: model["reason"] for model in models}
    if reasons.keys() != {GOOD, TAMPERED} or reasons[GOOD]:
        raise NotAsTold(f"listed: {', '.join(reasons)}")
    if "digest-mismatch" not in reasons[TAMPERED]:
        raise NotAsTold(f"{TAMPERED} is listed without the reason")
    return "both, one with its reason"


def load_good(stage: Stage) -> str:
    """Load the model that is as signed."""
    status, said = stage.post(f"/v2/repository/models/{GOOD}/load", {})
    stage.show(f"{status} {json.dumps(said) if said else ''}")
    if status != _OK:
        raise NotAsTold(f"{status}")
    return "200"


def infer(stage: Stage) -> str:
    """Ask the served model what the model in this process said before."""
    flat = [pixel for image in stage.images for pixel in image]
    shape = [len(stage.images), len(stage.images[0])]
    tensor = {"name": "images", "shape": shape, "datatype": "FP32", "data": flat}
    body = {"inputs": [tensor]}
    status, said = stage.post(f"/v2/models/{GOOD}/infer", body, file="twenty-images.json")
    if status != _OK:
        stage.show(f"{status} {json.dumps(said)}")
        raise NotAsTold(f"{status}")
    served = said["outputs"][0]["data"]
    stage.show(f"served: {served}\nhere:   {stage.predictions}")
    if served != stage.predictions:
        raise NotAsTold("other predictions")
    return f"the same {len(served)} predictions"


def load_tampered(stage: Stage) -> str:
    """Try to load the model that was tampered with."""
    status, said = stage.post(f"/v2/repository/models/{TAMPERED}/load", {})
    stage.show(f"{status} {json.dumps(said)}")
    expected = f"Invalid signature for model '{TAMPERED}'"
    if status != _BAD_REQUEST or not said.get("error", "").startswith(expected):
        raise NotAsTold(f"{status} {said.get('error', '')}")
    return "400 Invalid signature"


def look_for_loot(stage: Stage) -> str:
    """Look for what the payload would have written, wherever a process of the story ran."""
    stage.show_source(f"$ find . -name {LOOT}")
    found = [*stage.folder.rglob(LOOT), *Path.cwd().glob(LOOT)]
    if found:
        raise NotAsTold(f"it ran: {found[0]}")
    stage.show("(nothing)")
    return "nothing: it never ran"
