# SPDX-License-Identifier: Apache-2.0
"""A model is admitted, takes long to load, and is revoked meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import PATIENCE, wait_until
from slow import Slow

REVOKED = '[[revoked]]\nreason = "stolen"\nsigner = "release"\n'


@pytest.mark.parametrize("workers", [0, 1])
def test_it_is_not_served(make_site, start_mlserver, verified_settings, tmp_path, workers):
    site = make_site(tmp_path)
    slow = Slow.on(site)
    policy = site.config / "policy.toml"
    good = policy.read_text()
    bad = good.replace("[mlserver]", f"{REVOKED}[mlserver]")

    def in_force():
        return server.log.read_text().count("the policy was changed; in force")

    with (
        start_mlserver(site, workers=workers, **verified_settings(site)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        slow.hold("load")
        answer = pool.submit(server.load, "slow")
        slow.process_at("load")
        policy.write_text(bad)
        wait_until(lambda: in_force() == 1, "the revocation")
        assert server.ask("slow", [[1.0]]).status != 200
        slow.release("load")
        assert answer.result(PATIENCE).error.endswith("[revoked]")
        assert server.ask("slow", [[1.0]]).status == 404
        assert server.index()["slow"][0] == "UNAVAILABLE"

        policy.write_text(good)
        wait_until(lambda: server.load("slow").status == 200, "the policy without revocation")
        slow.hold("load")  # now of a model that is served already
        answer = pool.submit(server.load, "slow")
        slow.process_at("load")
        policy.write_text(bad)
        wait_until(lambda: server.ask("slow", [[1.0]]).status != 200, "nobody to be answered")
        slow.release("load")
        assert answer.result(PATIENCE).error.endswith("[revoked]")
        wait_until(lambda: server.ask("slow", [[1.0]]).status == 404, "the model to be gone")
