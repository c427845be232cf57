# SPDX-License-Identifier: Apache-2.0
"""`modelseal fetch` from a registry that others wrote, in Go."""

from __future__ import annotations

import re

import pytest
from fetching import left_beside, read, running, signed_model
from oci_registry import Pusher
from patience import wait_until

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return signed_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def out(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "tiny"


def test_a_registry_without_referrers(peers, model, out, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    log = tmp_path / "crane.log"
    serve = [peers.CRANE, "registry", "serve", "--address", "127.0.0.1:0"]
    with running(serve, log):
        port = re.compile(r"port (\d+)")
        wait_until(lambda: bool(port.search(log.read_text())), "crane's registry")
        host = f"127.0.0.1:{port.search(log.read_text())[1]}"
        unsigned = {name: data for name, data in model.files.items() if name != "model.sig"}
        pusher = Pusher(host)
        pushed = pusher.model("org/tiny", "v1", unsigned)
        done = model.fetch(f"oci://{host}/org/tiny:v1", out)
        assert (done.exit_code, "[unsigned]" in done.stderr) == (1, True), done.output
        pusher.attach("org/tiny", pushed, model.files["model.sig"], fallback=True)
        done = model.fetch(f"oci://{host}/org/tiny:v1", out)
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(f"revision oci://{host}/org/tiny@{pushed}\n")
        assert read(out) == model.files
        assert left_beside(out) == ["tiny"]
