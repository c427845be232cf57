# SPDX-License-Identifier: Apache-2.0
"""The steps of the story: sign, verify, tamper, serve."""

from __future__ import annotations

import json
import os
import pickle  # only ever written here, never read
import pickletools
from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._demo.children import NotStarted, free_ports, wait_until
from modelseal.cli._demo.telling import NotAsTold, Step

if TYPE_CHECKING:
    from modelseal.cli._demo.stage import Stage

ALICE = "alice@example.com"
GOOD, TAMPERED = "good-model", "tampered-model"
LOOT = "pwnd.txt"  # what the payload would write

_MODELS = (f"models/{GOOD}", f"models/{TAMPERED}")
_FILES = tuple(f"{model}/model.joblib" for model in _MODELS)
_RUNTIME = "mlserver_sklearn.SKLearnModel"
_ASKED = 20  # images sent for prediction
_TRIES = 3  # to start the server: somebody may take a port between choosing and listening
_OK, _BAD_REQUEST = 200, 400

TRAINING = """\
digits = sklearn.datasets.load_digits()
images = digits.images.reshape((len(digits.images), -1))
train, test, train_labels, test_labels = train_test_split(
    images, digits.target, test_size=0.5, shuffle=False)
model = svm.SVC(gamma=0.001).fit(train, train_labels)
"""

TAMPERING = """\
class Payload:
    def __reduce__(self):
        return os.system, ("env > pwnd.txt",)

Path("models/tampered-model/model.joblib").write_bytes(
    pickle.dumps(Payload(), protocol=4))
"""

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


class Payload:
    """Pickles to a program: whoever unpickles it runs the shell command."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"env > {LOOT}",)


def train(stage: Stage) -> str:
    """Train the digits classifier and save it twice: each copy is a model folder of its own."""
    import joblib
    from sklearn import datasets, svm
    from sklearn.model_selection import train_test_split

    stage.show_source(TRAINING)
    digits = datasets.load_digits()
    images = digits.images.reshape((len(digits.images), -1))
    train, test, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.5, shuffle=False
    )
    model = svm.SVC(gamma=0.001).fit(train, train_labels)
    right = (model.predict(test) == test_labels).mean()
    stage.images = test[:_ASKED].tolist()
    stage.predictions = model.predict(test[:_ASKED]).tolist()
    for name in (GOOD, TAMPERED):
        folder = stage.folder / "models" / name
        folder.mkdir(parents=True)
        stage.show_source(f'joblib.dump(model, "models/{name}/model.joblib")')
        joblib.dump(model, folder / "model.joblib")
        settings = {
            "name": name,
            "implementation": _RUNTIME,
            "parameters": {"uri": "./model.joblib"},
        }
        (folder / "model-settings.json").write_text(json.dumps(settings) + "\n")
    stage.show_source(f"# models/{GOOD}/model-settings.json, the other likewise")
    stage.show_source((stage.folder / "models" / GOOD / "model-settings.json").read_text())
    return f"{right:.0%} right on unseen images"


def start_sigstore(stage: Stage) -> str:
    """Start the private Sigstore, take its trust config, sign in."""
    command = ["modelseal", "instance", "up", "--data", "sigstore"]
    stage.show_source(f"$ {' '.join(command)} &")
    log = stage.folder / "sigstore.log"
    child = stage.children.start(command, stage.folder, log)
    try:
        wait_until(lambda: "\n" in log.read_text(errors="replace"), child, log, 60)
    except NotStarted as error:
        raise NotAsTold(f"the instance did not start: {error}") from error
    stage.issuer = log.read_text().splitlines()[0]
    stage.show(stage.issuer)
    instance = ("modelseal", "instance")
    stage.expect_success(*instance, "trust-config", "--data", "sigstore", "--out", "trust.json")
    stage.token = stage.expect_success(
        *instance, "token", "--data", "sigstore", "--identity", ALICE, quiet=True
    ).strip()
    stage.show("(for MODELSEAL_IDENTITY_TOKEN, where sign looks for it, not for the screen)")
    return f"signed in: {ALICE}"


def sign_files(stage: Stage) -> str:
    """Sign the two model files as plain artifacts."""
    stage.expect_success("modelseal", "sign", *_FILES, "--trust-config", "trust.json")
    return "*.sigstore.json beside each"


def verify_file(stage: Stage) -> str:
    """Verify one of them."""
    said = stage.expect_success("modelseal", "verify", _FILES[0], *_expected(stage))
    if not said.startswith("OK") or ALICE not in said:
        raise NotAsTold("OK, or the signer, is missing")
    return f"OK: {ALICE}"


def verify_file_with_sigstore(stage: Stage) -> str:
    """Let the stock client verify the same bundle."""
    stage.expect_success(
        *("sigstore", "--trust-config", "trust.json", "verify", "identity", "--offline"),
        *("--cert-identity", ALICE, "--cert-oidc-issuer", stage.issuer, _FILES[0]),
    )
    return "OK"


def sign_folders(stage: Stage) -> str:
    """Sign the folders whole, settings included."""
    stage.expect_success("modelseal", "sign", *_MODELS, "--trust-config", "trust.json")
    return "model.sig in each"


def verify_folders(stage: Stage) -> str:
    """Verify both folders."""
    said = stage.expect_success("modelseal", "verify", *_MODELS, *_expected(stage))
    if said.count("OK ") != len(_MODELS):
        raise NotAsTold("not both are OK")
    return "OK, OK"


def tamper(stage: Stage) -> str:
    """Overwrite the second model's file with a pickle that runs a command when it is loaded."""
    payload = pickle.dumps(Payload(), protocol=4)
    (stage.folder / _FILES[1]).write_bytes(payload)
    stage.show_source(TAMPERING)
    stage.show_source(f"$ python -m pickletools {_FILES[1]}")
    for opcode, argument, _ in pickletools.genops(payload):
        if opcode.name in {"SHORT_BINUNICODE", "STACK_GLOBAL", "TUPLE1", "REDUCE"}:
            stage.show(f"{opcode.name} {'' if argument is None else repr(argument)}")
    return f"{len(payload)} bytes"


def verify_tampered(stage: Stage) -> str:
    """Verify the file and the folder that were tampered with."""
    for path in (_FILES[1], _MODELS[1]):
        code, said = stage.run("modelseal", "verify", path, *_expected(stage))
        if code != 1 or "digest-mismatch" not in said:
            raise NotAsTold(f"exit code {code}, no digest-mismatch")
    return "FAIL: digest-mismatch"


def start_server(stage: Stage) -> str:
    """Start MLServer from a folder that holds the operator's settings, policy and trust."""
    config = stage.folder / "server"
    config.mkdir()
    policy = POLICY.format(identity=ALICE, issuer=stage.issuer, runtime=_RUNTIME)
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
    wait_until(stage.ready, child, log, 90)


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


def _expected(stage: Stage) -> tuple[str, ...]:
    trusting = ("--trust-config", "trust.json")
    return ("--identity", ALICE, "--issuer", stage.issuer, *trusting)


STEPS: tuple[Step[Stage], ...] = (
    Step(
        "Train and save",
        "A classifier of handwritten digits, saved as joblib does: as a pickle, a program.",
        "two model folders",
        train,
    ),
    Step(
        "Start a private Sigstore",
        "Identities, certificates, a log and timestamps, in one process on loopback.",
        "its URL, a sign-in",
        start_sigstore,
    ),
    Step(
        "Sign the files",
        "No key to keep: a certificate for ten minutes is issued to whoever signed in.",
        "a bundle beside each",
        sign_files,
    ),
    Step(
        "Verify a file",
        "Offline: who signed it, when, and that every byte is the one that was signed.",
        "OK and the signer",
        verify_file,
    ),
    Step(
        "Ask the stock client",
        "The bundle is a standard one: sigstore verifies it as well.",
        "OK",
        verify_file_with_sigstore,
        slow=True,
    ),
    Step(
        "Sign the folders",
        "One signature covers all files: the settings choose what code runs, so they count too.",
        "model.sig in each",
        sign_folders,
    ),
    Step(
        "Verify the folders",
        "Both are as alice released them.",
        "OK",
        verify_folders,
    ),
    Step(
        "Tamper with one",
        "Somebody who can write to the bucket puts a pickle there that runs a command.",
        "a small pickle",
        tamper,
    ),
    Step(
        "Verify again",
        "Neither signature fits any more.",
        "FAIL and why",
        verify_tampered,
    ),
    Step(
        "Start MLServer",
        "The operator says who may release models; the models folder has no say in it.",
        "up, nothing loaded",
        start_server,
    ),
    Step(
        "List its models",
        "A refused model stays visible, with the reason.",
        "both, one refused",
        index,
    ),
    Step(
        "Load the good one",
        "It is copied while it is hashed, and loaded from that private copy only.",
        "200",
        load_good,
    ),
    Step(
        "Ask for predictions",
        "The served model and the one that was trained must agree.",
        "the model's own",
        infer,
    ),
    Step(
        "Load the other one",
        "It is refused before anything unpickles it.",
        "400 and why",
        load_tampered,
    ),
    Step(
        "Look for the loot",
        f"Had the payload run anywhere, {LOOT} would be there.",
        "nothing",
        look_for_loot,
    ),
)
