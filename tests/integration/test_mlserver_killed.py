# SPDX-License-Identifier: Apache-2.0
"""A worker is killed in the middle of loading, answering and unloading: the server goes on."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import PATIENCE, wait_until
from slow import Slow


@pytest.fixture(scope="module", params=[1, 2], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    slow = Slow.on(site)
    site.signed("digits")
    with (
        start_mlserver(site, workers=request.param, **verified_settings(site)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        assert server.load("digits").status == 200
        yield site, server, slow, pool


def _kill_at(slow, step, pool, call):
    """Return the answer to `call`, whose worker was killed at `step`."""
    slow.hold(step)
    try:
        answer = pool.submit(call)
        os.kill(slow.process_at(step), signal.SIGKILL)
        return answer.result(PATIENCE)
    finally:
        slow.release(step)


def _is_well(site, server):
    """Check that the server answers, and loads what it did before."""
    (site.models / "digits" / "model.joblib").stat()
    wait_until(lambda: server.ask("digits", site.digits.rows).status == 200, "digits")
    wait_until(lambda: server.load("slow").status == 200, "the slow model to load")
    wait_until(lambda: server.ask("slow", [[1.0]]).status == 200, "the slow model")
    assert server.index()["slow"] == ("READY", "")
    assert server.infer("digits", site.digits.rows) == site.digits.answers
    assert site.untouched


def test_while_it_loads(serving):
    site, server, slow, pool = serving
    answer = _kill_at(slow, "load", pool, lambda: server.load("slow"))
    assert answer.status == 500
    _is_well(site, server)


def test_while_it_answers(serving):
    site, server, slow, pool = serving
    assert server.load("slow").status == 200
    answer = _kill_at(slow, "predict", pool, lambda: server.ask("slow", [[1.0]]))
    assert answer.status == 500
    _is_well(site, server)


def test_while_it_unloads(serving):
    site, server, slow, pool = serving
    assert server.load("slow").status == 200
    unload = lambda: server.post("/v2/repository/models/slow/unload")  # noqa: E731
    _kill_at(slow, "unload", pool, unload)
    assert server.index()["slow"] == ("UNAVAILABLE", "")
    _is_well(site, server)
