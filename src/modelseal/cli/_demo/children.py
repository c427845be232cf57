# SPDX-License-Identifier: Apache-2.0
"""Child processes that never outlive the demo, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

_GRACE = 5.0  # seconds that a child has to end by itself
PATIENCE = 600.0  # seconds: ends what hangs; a busy machine starts a model server in minutes
_PAUSE = 0.1  # seconds between two looks
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Proxies would send loopback requests away; the others would change what the story shows.
_NOT_INHERITED = ("MLSERVER_", "MODELSEAL_", "PYTHONPATH", "SIGSTORE_")


class NotStarted(Exception):  # noqa: N818 - read aloud: "raise NotStarted"
    """A child ended, or kept silent for too long, before it was ready."""


class Ending:
    """Makes Ctrl-C, SIGTERM and SIGHUP unwind the stack, so that everything is cleaned up.

    Used as a context manager.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._held = False
        self._pending: int | None = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._unwind) for number in _ENDING}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait for the end of the block: a child must be known before it can end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending is not None:
            self._unwind(self._pending, None)

    def _unwind(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._pending = number
            return
        self.ignore()  # a second signal must not cut the clean-up short
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + number)

    def ignore(self) -> None:
        """Ignore further requests to end: we are ending."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)


class Children:
    """Starts children, each in a process group of its own, and ends them all at exit.

    Used as a context manager, within an `Ending`.
    """

    def __init__(self, ending: Ending) -> None:
        self._ending = ending
        self._running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.ignore()
        self.end()

    def start(self, command: Sequence[str], cwd: Path, log: Path) -> subprocess.Popen[str]:
        """Start `command` in the folder `cwd`; what it says goes to the file `log`."""
        with log.open("wb") as said:
            return self._start(command, cwd, environment(), said)

    def run(self, command: Sequence[str], cwd: Path, extra: Mapping[str, str]) -> tuple[int, str]:
        """Run `command` in `cwd` with `extra` environment; return exit code and what it said."""
        child = self._start(command, cwd, environment(extra), subprocess.PIPE)
        said, _ = child.communicate(timeout=PATIENCE)
        self._running.remove(child)
        return child.returncode, said

    def _start(
        self, command: Sequence[str], cwd: Path, env: dict[str, str], said: IO[bytes] | int
    ) -> subprocess.Popen[str]:
        with self._ending.held():
            child = subprocess.Popen(
                [program(command[0]), *command[1:]],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # so that its own children can be ended with it
            )
            self._running.append(child)
        return child

    def end(self) -> None:
        """End every child and its children: politely first, then for certain."""
        for child in self._running:
            _signal_group(child, signal.SIGTERM)
        for child in self._running:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_GRACE)
            _signal_group(child, signal.SIGKILL)  # also what is left of the group of an ended child
            child.wait()
        self._running.clear()


def _signal_group(child: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in that group
        os.killpg(child.pid, number)


def wait_until(
    ready: Callable[[], bool], child: subprocess.Popen[str], log: Path, patience: float = PATIENCE
) -> None:
    """Return when `ready` says so.

    Raises:
        NotStarted: the child ended, or `patience` seconds have passed; with the end of its log.
    """
    deadline = time.monotonic() + patience
    while not ready():
        if child.poll() is not None:
            raise NotStarted(f"it ended with exit code {child.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise NotStarted(f"it was not ready after {patience:.0f} s:\n{_tail(log)}")
        time.sleep(_PAUSE)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def program(name: str) -> str:
    """Return the path of the program `name`, first that of this very environment."""
    own = sysconfig.get_path("scripts")
    return shutil.which(name, path=f"{own}{os.pathsep}{os.environ.get('PATH', '')}") or name


def environment(extra: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Return the environment for a child: ours and `extra`, not what would change the story."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_NOT_INHERITED) and not name.lower().endswith("_proxy")
    }
    return {**kept, "COLUMNS": "80", "PYTHONUNBUFFERED": "1", **extra}


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now; MLServer cannot choose one by itself."""
    taken = [socket.socket() for _ in range(count)]
    try:
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]
    finally:
        for one in taken:
            one.close()
