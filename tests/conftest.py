# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# A test run says the same twice, however busy the machine is.
settings.register_profile("modelseal", deadline=None, derandomize=True)
settings.load_profile("modelseal")

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
        return subprocess.check_output(command, text=True, timeout=60).strip()


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
                subprocess.run(command, check=True, timeout=60)
                documents.append(out)
            yield Instance(url, data, process, *documents)
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One private Sigstore for all tests of this worker that only sign and verify with it."""
    with running_instance(tmp_path_factory.mktemp("instance")) as started:
        yield started


@pytest.fixture(scope="session")
def start_instance():
    """Give `running_instance(folder, *options)`: for tests that stop, break or look into one."""
    return running_instance
