# SPDX-License-Identifier: Apache-2.0
"""Policy and models are reloaded over and over: the server answers, and the last policy holds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from patience import wait_until

REVOKED = '[[revoked]]\nreason = "stolen"\nsigner = "release"\n'


def test_the_last_policy_holds(make_site, start_mlserver, verified_settings, tmp_path):
    site = make_site(tmp_path)
    site.signed("digits")
    policy = site.config / "policy.toml"
    good = site.policy_text()
    texts = [good, good.replace("[mlserver]", f"{REVOKED}[mlserver]"), "version = 2", good[:40]]
    stop = threading.Event()

    def rewrite():
        number = 0
        while not stop.is_set():
            policy.write_text(texts[number % len(texts)])
            number += 1
        policy.write_text(texts[1])

    def load():
        return {server.load("digits").status for _ in range(20)}

    with (
        start_mlserver(site, workers=1, **verified_settings(site)) as server,
        ThreadPoolExecutor(5) as pool,
    ):
        writer = pool.submit(rewrite)
        try:
            loads = [pool.submit(load) for _ in range(3)]
            statuses = set().union(*(one.result() for one in loads))
            assert server.post("/v2/repository/index").status == 200
        finally:
            stop.set()
        writer.result()
        assert statuses <= {200, 400}
        gone = lambda: server.index()["digits"][0] == "UNAVAILABLE"  # noqa: E731
        wait_until(gone, "the last policy")
        assert server.index()["digits"][1].endswith("[revoked]")
        assert server.ask("digits", site.digits.rows).status == 404
        policy.write_text(good)
        wait_until(lambda: server.load("digits").status == 200, "the good policy")
        assert server.infer("digits", site.digits.rows) == site.digits.answers
    assert site.untouched
