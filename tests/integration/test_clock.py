# SPDX-License-Identifier: Apache-2.0
"""`make other-days` moves the clock of everything that the tests start, the zone and the locale."""

from __future__ import annotations

import locale
import os
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.request import urlopen

import environ_race
import moved_clock
import pytest
from patience import PATIENCE

HOUR = 3600


def test_processes_of_the_tests():
    command = [sys.executable, Path(moved_clock.__file__)]
    subprocess.run(command, check=True, timeout=PATIENCE)


def test_variables_that_another_thread_sets():
    # libfaketime alone crashes or forgets how far it moves the clock (scripts/move_clock.py)
    command = [sys.executable, Path(environ_race.__file__)]
    subprocess.run(command, check=True, timeout=PATIENCE)


@pytest.mark.parametrize(("started", "path"), [("instance", "/checkpoint"), ("server", "/v2")])
def test_servers_of_the_tests(request, started, path):
    url = request.getfixturevalue(started).url
    with urlopen(url + path, timeout=PATIENCE) as answer:
        told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    assert abs(told - time.time()) < HOUR


def test_a_wait_takes_as_long_as_ever():
    started = time.monotonic()
    time.sleep(0.01)  # raises if libfaketime changes it
    with pytest.raises(subprocess.TimeoutExpired):  # hangs, if the monotonic clock is moved too
        subprocess.run(["sleep", str(PATIENCE)], check=False, timeout=0.01)
    assert 0.02 <= time.monotonic() - started < PATIENCE


@pytest.mark.skipif(os.environ.get("TZ") != "Pacific/Kiritimati", reason="not the zone asked for")
def test_the_zone():
    assert time.localtime().tm_gmtoff == 14 * HOUR, "install tzdata"


@pytest.mark.skipif(os.environ.get("LC_ALL") != "C", reason="not the locale asked for")
def test_the_locale():
    assert locale.setlocale(locale.LC_ALL, "") == "C"
