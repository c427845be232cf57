# SPDX-License-Identifier: Apache-2.0
"""The first half of the story: train, sign, verify, tamper, verify again."""

from __future__ import annotations

import json
import os
import pickle  # only ever written here, never read
import pickletools
from typing import TYPE_CHECKING

from modelseal.cli._demo.children import NotStarted, wait_until
from modelseal.cli._demo.telling import NotAsTold

if TYPE_CHECKING:
    from modelseal.cli._demo.stage import Stage

ALICE = "alice@example.com"
GOOD, TAMPERED = "good-model", "tampered-model"
LOOT = "pwnd.txt"  # what the payload would write
RUNTIME = "mlserver_sklearn.SKLearnModel"

_MODELS = (f"models/{GOOD}", f"models/{TAMPERED}")
_FILES = tuple(f"{model}/model.joblib" for model in _MODELS)
_ASKED = 20  # images sent for prediction

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
            "implementation": RUNTIME,
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
        wait_until(lambda: "\n" in log.read_text(errors="replace"), child, log)
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


def _expected(stage: Stage) -> tuple[str, ...]:
    trusting = ("--trust-config", "trust.json")
    return ("--identity", ALICE, "--issuer", stage.issuer, *trusting)
