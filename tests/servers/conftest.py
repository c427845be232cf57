# SPDX-License-Identifier: Apache-2.0
"""Real model servers behind `modelseal exec`; `make servers` installs them first.

A server that is not installed fails its tests.
"""

from __future__ import annotations

import socket
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest
from model_servers import INSTALLED, Site


@pytest.fixture(autouse=True)
def _installed():
    assert (INSTALLED["ENVIRONMENT"] / ".complete").exists(), "run: make servers"


@pytest.fixture
def site(tmp_path) -> Site:
    return Site(tmp_path).prepare()


@pytest.fixture
def site_outside_tmp():
    """Give a site for a server that must be allowed to write to /tmp."""
    with tempfile.TemporaryDirectory(dir=INSTALLED["CACHE"]) as folder:
        yield Site(Path(folder) / "site").prepare()


@pytest.fixture
def port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def libpython() -> Path:
    """Return the folder of the shared library of this Python, which Triton's own Python needs."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    folders = (sysconfig.get_config_var("LIBDIR"), "/usr/lib/x86_64-linux-gnu", "/usr/lib64")
    for folder in folders:
        if folder and (Path(folder) / name).exists():
            return Path(folder)
    pytest.fail(f"{name} is missing: apt-get install libpython3.11")
