# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import moved_clock
import pytest
from hypothesis import HealthCheck, settings
from needs import HAS_MLSERVER, NO_MLSERVER
from patience import GRACE, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

# A test run says the same twice, however busy the machine is.
settings.register_profile(
    "modelseal",
    deadline=None,
    derandomize=True,
    max_examples=20 if moved_clock.is_moved() else 100,  # on another day the rest is the same
    suppress_health_check=[HealthCheck.too_slow],  # by the clock
)
settings.load_profile("modelseal")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background: else the processes of tests would not see Ctrl-C either.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _name in [name for name in os.environ if name.startswith("MODELSEAL_")]:
    del os.environ[_name]  # options of whoever runs the tests

moved_clock.check()  # in every worker

_IMPORTS_MLSERVER = re.compile(
    r"^(?:from|import) (?:mlserver|modelseal\.servers\.mlserver)\b", re.MULTILINE
)
collect_ignore = [
    path
    for path in Path(__file__).parent.rglob("test_*.py")
    if not HAS_MLSERVER and _IMPORTS_MLSERVER.search(path.read_text())
]


def pytest_report_header() -> list[str]:
    return [f"left out: {path.name}, as {NO_MLSERVER}" for path in sorted(collect_ignore)]


MODELSEAL = [str(Path(sys.executable).with_name("modelseal"))]


@dataclass(frozen=True)
class Instance:
    """A running `modelseal instance up`, and the files that clients of it need."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    trust_config: Path
    trusted_root: Path
    signing_config: Path

    @property
    def issuer(self) -> str:
        return self.url

    def token(self, identity: str = "alice@example.com") -> str:
        command = [*MODELSEAL, "instance", "token", "--data", self.data, "--identity", identity]
        return subprocess.check_output(command, text=True, timeout=PATIENCE).strip()


@contextmanager
def running_instance(folder: Path, *options: str) -> Iterator[Instance]:
    """Run an instance with its data in `folder`/data, on a port of its own, until the end."""
    data = folder / "data"
    with (
        (folder / "instance.log").open("a") as log,
        subprocess.Popen(
            [*MODELSEAL, "instance", "up", "--data", data, *options],
            stdout=subprocess.PIPE, stderr=log, text=True,
        ) as process,
    ):  # fmt: skip
        try:
            url = process.stdout.readline().strip()
            assert url, (folder / "instance.log").read_text()
            documents = []
            for name in ("trust-config", "trusted-root", "signing-config"):
                out = folder / f"{name}.json"
                command = [*MODELSEAL, "instance", name, "--data", data, "--out", out]
                subprocess.run(command, check=True, timeout=PATIENCE)
                documents.append(out)
            yield Instance(url, data, process, *documents)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One private Sigstore for all tests of this worker that only sign and verify with it."""
    with running_instance(tmp_path_factory.mktemp("instance")) as started:
        yield started


@pytest.fixture(scope="session")
def start_instance():
    """Give `running_instance(folder, *options)`: for tests that stop, break or look into one."""
    return running_instance


# -- files that an operator names ----------------------------------------------------------------


@pytest.fixture
def config_map(tmp_path: Path):
    """Give a function that puts bytes where Kubernetes would, and returns the path of the mount.

    Every file of a ConfigMap or Secret is a link through `..data`, which is swapped to renew all.
    """
    mount = tmp_path / "mount"

    def mounted(name: str, data: bytes) -> Path:
        if not mount.exists():
            (mount / "..2026_01_02_03_04_05.1234567890").mkdir(parents=True)
            (mount / "..data").symlink_to("..2026_01_02_03_04_05.1234567890")
        (mount / "..data" / name).write_bytes(data)
        (mount / name).symlink_to(f"..data/{name}")
        return mount / name

    return mounted


@pytest.fixture
def fifo(tmp_path: Path):
    """Give a function that returns the path of a FIFO whose one reader gets the bytes given."""
    writers: list[threading.Thread] = []

    def piped(name: str, data: bytes) -> Path:
        path = tmp_path / name
        os.mkfifo(path)

        def write() -> None:
            with suppress(BrokenPipeError):  # the reader had enough
                path.write_bytes(data)

        writers.append(threading.Thread(target=write, daemon=True))
        writers[-1].start()
        return path

    yield piped
    for writer in writers:
        writer.join(timeout=GRACE)


# -- serving -------------------------------------------------------------------------------------

SKLEARN = "mlserver_sklearn.SKLearnModel"
ALICE = "alice@example.com"


@dataclass(frozen=True)
class Digits:
    """The story's model: a fitted SVC, rows it has not seen, and what it says of them."""

    svc: object
    rows: list[list[float]]
    answers: list[int]


@pytest.fixture(scope="session")
def digits() -> Digits:
    from sklearn import datasets, svm  # noqa: PLC0415 - two seconds that most tests need not pay

    data = datasets.load_digits()
    images = data.images.reshape(len(data.images), -1)
    half = len(images) // 2
    svc = svm.SVC(gamma=0.001).fit(images[:half], data.target[:half])
    rows = images[half : half + 10]
    return Digits(svc, rows.tolist(), svc.predict(rows).tolist())


@dataclass(frozen=True)
class Site:
    """Folders of one operator: models (hostile), config, store; and what signs for them."""

    folder: Path
    instance: Instance
    digits: Digits

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def pwned(self) -> Path:
        """Where the payloads of the tests leave their mark."""
        return self.folder / "pwnd.txt"

    def prepare(self) -> Site:
        for path in (self.models, self.config):
            path.mkdir()
        (self.config / "policy.toml").write_text(self.policy_text())
        return self

    def policy_text(self, signer: str = ALICE) -> str:
        return (
            f'version = 1\ndefault = "deny"\n[trust]\nroot = "{self.instance.trusted_root}"\n'
            f'[signers.release]\nidentity = "{signer}"\nissuer = "{self.instance.issuer}"\n'
            '[[rule]]\nmodels = ["*"]\nsigners = ["release"]\n'
            f'[mlserver]\nruntimes = ["{SKLEARN}"]\n'
        )

    def write(self, name: str, /, **settings: object) -> Path:
        """Write a model that nobody has signed yet."""
        import joblib  # noqa: PLC0415 - as above

        folder = self.models / name
        folder.mkdir(parents=True)
        joblib.dump(self.digits.svc, folder / "model.joblib")
        values = {
            "name": name, "implementation": SKLEARN, "parameters": {"uri": "./model.joblib"},
            **settings,
        }  # fmt: skip
        found = {key: value for key, value in values.items() if value is not None}
        (folder / "model-settings.json").write_text(json.dumps(found))
        return folder

    def sign(self, *paths: Path, identity: str = ALICE) -> None:
        from modelseal.signing.sign import sign_all  # noqa: PLC0415 - as above
        from modelseal.trust.choice import Trust  # noqa: PLC0415 - as above

        token, trust = self.instance.token(identity), Trust.of(self.instance.trust_config)
        sign_all(paths, identity_token=token, trust=trust, overwrite=True)

    def signed(self, name: str, /, **settings: object) -> Path:
        folder = self.write(name, **settings)
        self.sign(folder)
        return folder

    def payload(self) -> bytes:
        """Return a pickle that leaves a mark when it is loaded."""
        command = f"touch '{self.pwned}'".encode()
        size = len(command).to_bytes(4, "little")
        call = b"\x8c\x05posix\x94\x8c\x06system\x94\x93\x94"
        return b"\x80\x04" + call + b"X" + size + command + b"\x94\x85\x94R\x94."

    def module(self) -> str:
        """Return Python that leaves a mark when it is imported."""
        return f"import pathlib\npathlib.Path({str(self.pwned)!r}).touch()\n"

    @property
    def untouched(self) -> bool:
        return not self.pwned.exists() and not list(self.folder.rglob("pwnd.txt"))


@pytest.fixture(scope="session")
def make_site(instance, digits):
    """Give a function from an empty folder to a `Site` in it."""
    return lambda folder: Site(folder, instance, digits).prepare()


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def error(self) -> str:
        return json.loads(self.text)["error"]


@dataclass(frozen=True)
class Server:
    """A running `mlserver start`."""

    url: str
    grpc: str
    process: subprocess.Popen[bytes]
    log: Path

    def post(self, path: str, body: object = None) -> Answer:
        data = json.dumps({} if body is None else body).encode()
        kind = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(self.url + path, data, kind)
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read().decode())

    def load(self, name: str) -> Answer:
        return self.post(f"/v2/repository/models/{urllib.parse.quote(name, safe='')}/load")

    def index(self) -> dict[str, tuple[str, str]]:
        answer = self.post("/v2/repository/index")
        assert answer.status == 200, answer
        return {item["name"]: (item["state"], item["reason"]) for item in json.loads(answer.text)}

    def ask(self, name: str, rows: list[list[float]]) -> Answer:
        shape = [len(rows), len(rows[0])]
        tensor = {"name": "rows", "shape": shape, "datatype": "FP64", "data": rows}
        return self.post(f"/v2/models/{name}/infer", {"inputs": [tensor]})

    def infer(self, name: str, rows: list[list[float]]) -> list[int]:
        answer = self.ask(name, rows)
        assert answer.status == 200, answer
        return json.loads(answer.text)["outputs"][0]["data"]


@contextmanager
def running_mlserver(
    site: Site, *, workers: int, cwd: Path | None = None, env: dict[str, str] | None = None,
    program: Path | None = None, **settings: object,
) -> Iterator[Server]:  # fmt: skip
    """Run MLServer for `site` until the end of the block; keyword arguments go to settings.json."""
    if not HAS_MLSERVER:
        pytest.skip(NO_MLSERVER)
    for _ in range(3):  # somebody may take a port between choosing and listening
        http, grpc, metrics = _free_ports(3)
        name = f"test-{http}-{os.getpid()}"
        (site.config / "settings.json").write_text(json.dumps({
            "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics,
            "parallel_workers": workers, "server_name": name, "debug": False,
            "load_models_at_startup": False, **settings,
        }))  # fmt: skip
        log = site.folder / "mlserver.log"
        command = [program or Path(sys.executable).with_name("mlserver"), "start", site.config]
        environment = {**os.environ, **(env or {})}
        with (
            log.open("ab") as out,
            subprocess.Popen(
                command, stdout=out, stderr=out, cwd=cwd or site.config, env=environment
            ) as process,
        ):
            server = Server(f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", process, log)
            try:
                if not _is_up(server, name):
                    continue
                yield server
                return
            finally:
                process.terminate()
                try:
                    process.wait(timeout=GRACE)
                except subprocess.TimeoutExpired:
                    process.kill()
    raise AssertionError(log.read_text())


def verified(site: Site, **more: object) -> dict[str, object]:
    """Return the three keys of settings.json that make MLServer verify."""
    return {
        "model_repository_implementation": "modelseal.servers.mlserver.VerifiedModelRepository",
        "model_repository_implementation_args": {
            "models": str(site.models), "policy": "policy.toml", "store": str(site.store), **more,
        },
    }  # fmt: skip


def _is_up(server: Server, name: str) -> bool:
    deadline = time.monotonic() + PATIENCE
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/v2", timeout=GRACE) as answer:
                return json.load(answer)["name"] == name
        except (OSError, ValueError):
            time.sleep(0.1)
    return False


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture(scope="session")
def start_mlserver():
    """Give `running_mlserver(site, workers=N, **settings)`."""
    return running_mlserver


@pytest.fixture(scope="session")
def verified_settings():
    """Give `verified(site)`."""
    return verified


@pytest.fixture(scope="session")
def site(make_site, tmp_path_factory) -> Site:
    """One operator's folders for all tests of this worker; each test brings its own model names."""
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def server(site) -> Iterator[Server]:
    """A verifying MLServer with one worker, on `site`."""
    with running_mlserver(site, workers=1, **verified(site)) as started:
        yield started
