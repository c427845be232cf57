# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def test_new_worker_loads_the_snapshot(make_site, start_mlserver, verified_settings, tmp_path):
    site = make_site(tmp_path)
    folder, other = site.write("good-model"), site.write("other-model")
    site.sign(folder, other)
    with start_mlserver(site, workers=1, **verified_settings(site)) as server:
        assert server.load("good-model").status == 200
        assert server.load("other-model").status == 200
        (folder / "model.joblib").write_bytes(site.payload())
        for worker in _workers(server.process.pid):
            os.kill(worker, signal.SIGKILL)
        assert _answers(server, "good-model", site) == site.digits.answers
        assert _answers(server, "other-model", site) == site.digits.answers
        assert server.load("good-model").status == 400
    assert site.untouched


def _workers(parent):
    """Return the worker processes of a server, not multiprocessing's own helper."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    found = [pid for pid, command in commands.items() if b"spawn_main" in command]
    assert found
    return found


def _answers(server, name, site):
    """Return what the model says; the server answers 500 until the new worker is up."""
    deadline = time.monotonic() + 90
    while True:
        try:
            return server.infer(name, site.digits.rows)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
