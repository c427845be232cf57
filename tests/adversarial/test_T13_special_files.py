# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket

import pytest


@pytest.mark.parametrize("name", ["model.sig", "model-settings.json", "model.joblib"])
def test_fifo_blocks_nothing(site, server, name):
    folder = site.signed(f"fifo-{name}")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    answer = server.load(folder.name)
    assert answer.status == 400
    assert answer.error.endswith("[special-file]")


def test_socket_in_the_folder(site, server):
    folder = site.signed("with-socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "s"))
        assert server.load("with-socket").error.endswith("[special-file]")


def test_fifo_for_a_model(site, server):
    os.mkfifo(site.models / "just-a-fifo")
    assert server.load("just-a-fifo").status == 404
