# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

from patience import wait_until


def test_new_worker_loads_the_snapshot(make_site, start_mlserver, verified_settings, tmp_path):
    site = make_site(tmp_path)
    folder, other = site.write("good-model"), site.write("other-model")
    site.sign(folder, other)
    with start_mlserver(site, workers=1, **verified_settings(site)) as server:
        assert server.load("good-model").status == 200
        assert server.load("other-model").status == 200
        (folder / "model.joblib").write_bytes(site.payload())
        for worker in _workers(server.process.pid):
            _kill(worker)
        for name in ("good-model", "other-model"):
            # the server answers 500 until the new worker has loaded the model
            asked = partial(server.ask, name, site.digits.rows)
            wait_until(lambda asked=asked: asked().status == 200, f"{name} in the new worker")
            assert server.infer(name, site.digits.rows) == site.digits.answers
        assert server.load("good-model").status == 400
    assert site.untouched


def _workers(parent: int) -> list[int]:
    """Return the worker processes of a server, not multiprocessing's own helper."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    found = [pid for pid, command in commands.items() if b"spawn_main" in command]
    assert found
    return found


def _kill(worker: int) -> None:
    """Kill an idle worker.

    One that is killed while it writes an answer takes the lock of the queue of answers with it, and
    the server never hears of any other worker.
    """
    wait_until(lambda: _is_idle(worker), "an idle worker")
    os.kill(worker, signal.SIGKILL)


def _is_idle(pid: int) -> bool:
    """Return whether no thread of a process ran between two looks at it."""
    before = _threads(pid)
    time.sleep(0.05)
    return all(state == "S" for state, _ in before.values()) and before == _threads(pid)


def _threads(pid: int) -> dict[str, tuple[str, str]]:
    """Return the state of each thread of a process, and how often it went to sleep."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = (thread / "status").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        found[thread.name] = (fields["State"][0], fields["voluntary_ctxt_switches"])
    return found
