# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
import time
from typing import NamedTuple

import pytest
from forge import make_forge

from modelseal.instance import health
from modelseal.instance.refused import Refused


class Usage(NamedTuple):
    free: int


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    return make_forge(tmp_path_factory.mktemp("forge") / "data").services


def test_it_can_sign(services):
    health.check(services)
    assert health.gauges(services)["log_entries"][1] == 1


def test_not_on_a_disk_without_space(services, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(free=1 << 20))
    with pytest.raises(Refused) as caught:
        health.check(services)
    assert (caught.value.status, caught.value.code) == (503, "storage")


def test_not_with_a_clock_that_was_set_back(services):
    def back():
        raise Refused(503, "clock", "The clock of this instance was set back.")

    stopped = type(services)(services.state, services.sign_in, services.tuf, services._eras, back)
    with pytest.raises(Refused):
        health.check(stopped)
    assert services.clock is time.time
