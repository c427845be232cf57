# SPDX-License-Identifier: Apache-2.0
"""What is packaged and pinned; that the wheel works alone is for scripts/check_wheel.py to show."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import pytest
from patience import PATIENCE

import modelseal

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements" / "dev.lock").read_text()


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement)[0].lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    (made,) = out.glob("*.whl")
    return made


def test_the_wheel_has_every_module_and_the_typing_mark(wheel):
    packed = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "modelseal").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packed == source
    assert "modelseal/py.typed" in packed


def test_the_version_is_said_once(wheel):
    assert PROJECT["version"] == modelseal.__version__
    assert wheel.name.startswith(f"modelseal-{modelseal.__version__}-")


def test_every_dependency_is_locked_and_has_its_reason():
    reasons = (ROOT / "docs" / "adr" / "0002-dependencies.md").read_text().lower()
    wanted = chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    names = {name_of(requirement) for requirement in wanted} - {"modelseal"}

    assert len(names) > 10
    for name in names:
        assert re.search(rf"^{re.escape(name)}==", LOCK, re.MULTILINE | re.IGNORECASE), name
        assert name in reasons, name


def test_every_locked_package_has_hashes():
    pins = re.findall(r"^\S+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", LOCK, re.MULTILINE)

    assert len(pins) == len(re.findall(r"^\S+==", LOCK, re.MULTILINE)) > 50


def test_each_extra_is_checked_by_the_wheel_check():
    checked = runpy.run_path(str(ROOT / "scripts" / "check_wheel.py"))

    assert set(checked["EXTRAS"]) == {"", *PROJECT["optional-dependencies"]}
    assert "--hash" not in checked["pins"](LOCK)
    assert checked["pins"](LOCK).count("==") == LOCK.count("==")


def test_every_source_file_names_its_licence():
    folders = ("src", "tests", "scripts")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    unmarked = [
        path
        for path in files
        if "SPDX-License-Identifier: Apache-2.0" not in path.read_text()[:200]
    ]

    assert unmarked == []
