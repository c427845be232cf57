# SPDX-License-Identifier: Apache-2.0
"""What docs/sources.md tells people to type, typed, against the servers of the other tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import hub
import oci_registry
import pytest
import s3_server
from fetching import FILES, read, signed_model, tar, write
from https_site import serving
from in_process import invoke
from oci_registry import Pusher
from patience import PATIENCE

PAGE = Path(__file__).parents[3] / "docs" / "sources.md"


@pytest.fixture
def environment(tmp_path):
    """Give the variables for real clients of servers on loopback, all with one model."""
    model = signed_model(tmp_path)
    one = tmp_path / "one"
    write(one, {"model.gguf": b"gguf", "model.tar.gz": tar(model.files)})
    assert invoke("sign", one / "model.gguf", "--key", model.private).exit_code == 0
    (tmp_path / "tls").mkdir()
    with ExitStack() as stack:
        hugging = stack.enter_context(hub.serving("org/tiny", model.files))
        bucket = stack.enter_context(s3_server.serving())
        bucket.put("org/tiny/", model.files)
        bucket.put("unsigned/tiny/", FILES)
        registry = stack.enter_context(oci_registry.serving(referrers=True))
        Pusher(registry.host).model("org/tiny", "v1", model.files)
        site = stack.enter_context(serving(tmp_path / "tls", read(one)))
        yield {
            **os.environ, **bucket.environment,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HF_ENDPOINT": hugging.endpoint, "HF_HUB_DISABLE_XET": "1", "REPOSITORY": "org/tiny",
            "REGISTRY": registry.host, "DOCKER_CONFIG": str(tmp_path / "docker"),
            "SITE": site.url, "REQUESTS_CA_BUNDLE": str(tmp_path / "tls" / "ca.pem"),
        }  # fmt: skip


def test_the_commands(environment, tmp_path):
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 7
    typed = [  # MLflow has a test of its own, which needs its server (tests/interop)
        re.sub(r"^pip install.*\n", "", one, flags=re.MULTILINE)
        for one in blocks if "models:/" not in one
    ]  # fmt: skip
    for number, script in enumerate(typed):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("release.key", "release.pub"):
            shutil.copy(tmp_path / name, folder)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, script + done.stdout + done.stderr
        assert re.search("FETCHED|SIGNED", done.stdout)
