# SPDX-License-Identifier: Apache-2.0
"""Processes that work on a store are killed: nothing half-made is found, nothing is left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from exec_site import ExecSite
from patience import PATIENCE

SCRIPT = Path(__file__).parents[1] / "helpers" / "killed_admissions.py"
SOAK = "MODELSEAL_SOAK" in os.environ  # set by `make soak`


@pytest.fixture
def folder(tmp_path):
    site = ExecSite(tmp_path / "site").prepare()
    site.policy.write_text(site.policy.read_text() + '[log]\npath = "decisions.jsonl"\n')
    model = site.folder / "model"
    (model / "sub").mkdir(parents=True)
    (model / "weights.bin").write_bytes(os.urandom(300_000))
    (model / "sub" / "more.bin").write_bytes(os.urandom(100))
    site.sign(model)
    return site.folder


def killed(folder, scenario, rounds):
    command = [sys.executable, SCRIPT, folder, scenario, str(rounds)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    return found["killed"]


@pytest.mark.parametrize(("scenario", "least"), [("admit", 300), ("collect", 120)])
def test_before_and_after_every_call_to_the_system(folder, scenario, least):
    step = 1 if SOAK else 5
    assert killed(folder, scenario, step) >= least // step


def test_at_random_moments_several_at_once(folder):
    rounds = 500 if SOAK else 10
    assert killed(folder, "random", rounds) >= rounds // 2
