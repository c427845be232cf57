# SPDX-License-Identifier: Apache-2.0
"""Real model servers behind `modelseal exec`, as processes of their own."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import signal
import subprocess
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exec_site import MODELSEAL, ExecSite
from patience import GRACE, PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
INSTALLED = runpy.run_path(str(ROOT / "scripts" / "servers" / "install.py"))
ENVIRONMENT: Path = INSTALLED["ENVIRONMENT"]
RUNTIMES_ENVIRONMENT: Path = INSTALLED["RUNTIMES_ENVIRONMENT"]
PYTHON = ENVIRONMENT / "bin" / "python"
PAGE = ROOT / "docs" / "servers.md"
PROGRAMS = ROOT / "tests" / "servers" / "programs"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def json(self):
        return json.loads(self.text)


@dataclass(frozen=True)
class Running:
    """A server behind `modelseal exec`."""

    url: str
    process: subprocess.Popen
    log: Path

    def get(self, path: str) -> Answer:
        return _answer(urllib.request.Request(self.url + path))

    def post(self, path: str, body: object) -> Answer:
        kind = {"Content-Type": "application/json"}
        data = json.dumps(body).encode()
        return _answer(urllib.request.Request(self.url + path, data, kind))

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def _answer(request: urllib.request.Request) -> Answer:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return Answer(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())
    except OSError as error:
        return Answer(0, str(error))


@dataclass(frozen=True)
class Site(ExecSite):
    """An operator's folders, in which servers are started; `app` has the operator's programs."""

    @property
    def app(self) -> Path:
        return self.folder / "app"

    @property
    def pwned(self) -> Path:
        """Return what attacks make: within what the server may write."""
        return self.folder / "out" / "pwned"

    def program(self, name: str) -> Path:
        """Return the program, from tests/servers/programs, among the operator's."""
        self.app.mkdir(exist_ok=True)
        path = self.app / name
        path.write_text((PROGRAMS / name).read_text())
        return path

    def made(self, program: str, *arguments: object) -> None:
        """Run a program of tests/servers/programs to its end, with what the servers have."""
        subprocess.run(
            [PYTHON, PROGRAMS / program, *map(str, arguments)], check=True, timeout=PATIENCE
        )

    def swapped(self, name: str) -> None:
        """Put the unsigned model NAME-evil in the place of the model `name`, in every way."""
        model, evil = self.models / name, self.models / f"{name}-evil"
        for file in (path for path in evil.rglob("*") if path.is_file()):
            target = model / file.relative_to(evil)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
        model.rename(self.models / f"{name}-old")
        evil.rename(model)

    def documented(self, heading: str, port: int, **programs: object) -> list[str]:
        """Return the command that docs/servers.md has below `heading`, for this site.

        `programs` says what is in the place of a word, such as of `tritonserver`.
        """
        section = PAGE.read_text().partition(f"### {heading}\n")[2]
        block = section.partition("```sh\n")[2].partition("```")[0]
        places = {
            "/etc/modelseal/policy.toml": self.policy, "/var/lib/modelseal": self.store,
            "/srv/models": self.models, "/srv/app": self.app, "8000": port,
        }  # fmt: skip
        whole = {"modelseal": MODELSEAL, "python": PYTHON, **programs}
        words = [str(whole.get(word, word)) for word in shlex.split(block.replace("\\\n", " "))]
        for text, place in places.items():
            words = [word.replace(text, str(place)) for word in words]
        return words

    @contextmanager
    def running(self, command: list[str], *, port: int, ready: str, env=None):
        """Run a command until the end of the block; it is up when `ready` answers."""
        self.pwned.parent.mkdir(exist_ok=True)
        log = self.folder / f"server-{port}.log"
        with (
            log.open("ab") as out,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                env={**os.environ, **(env or {})}, cwd=self.folder / "work",
            ) as process,
        ):  # fmt: skip
            server = Running(f"http://127.0.0.1:{port}", process, log)
            try:
                wait_until(
                    lambda: process.poll() is not None or server.get(ready).status == 200,
                    f"'{command[-1]}' to start",
                )
                assert process.poll() is None, server.said()
                yield server
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=GRACE)
                if process.poll() is None or _is_alive(process.pid):
                    os.killpg(process.pid, signal.SIGKILL)


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
